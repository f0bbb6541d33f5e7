"""What the bot remembers: frozen records in and out, transactions, migrations, no decisions."""
