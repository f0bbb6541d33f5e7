"""The scout's reading room: the pages a brief names, fetched from public places only and read as text."""
