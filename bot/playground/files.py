"""Uploaded files: announced, sent to an upload address, then finished into a share."""

import base64
import uuid
from dataclasses import dataclass, field

from bot.playground.shapes import Json, SlackError

SNIPPET_BYTES = 1_000_000


@dataclass(kw_only=True, slots=True)
class File:
    id: str
    name: str
    length: int
    title: str = ""
    alt_txt: str = ""
    snippet_type: str = ""
    content: bytes | None = None
    done: bool = False

    def as_slack_shows(self, url: str) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title or self.name,
            "size": self.length,
            "mode": "snippet" if self.snippet_type else "hosted",
            "mimetype": "text/plain",
            "filetype": self.snippet_type or self.name.rpartition(".")[2],
            "is_external": False,
            "user": "UBOT",
            "url_private": f"{url}/files-pri/{self.id}",
            "url_private_download": f"{url}/files-pri/{self.id}",
        }


@dataclass(slots=True)
class Files:
    by_id: dict[str, File] = field(default_factory=dict)

    def announce(self, *, name: str, length: int, snippet_type: str, alt_txt: str) -> File:
        if length <= 0:
            raise SlackError("invalid_arguments", messages=["[ERROR] length must be greater than 0"])
        if snippet_type and length > SNIPPET_BYTES:
            raise SlackError("snippet_too_large")
        file = File(id=f"F0{uuid.uuid4().hex[:8].upper()}", name=name, length=length, snippet_type=snippet_type)
        file.alt_txt = alt_txt
        self.by_id[file.id] = file
        return file

    def get(self, file_id: str) -> File:
        file = self.by_id.get(file_id)
        if file is None:
            raise SlackError("file_not_found")
        return file

    def finish(self, file_id: str, title: str) -> File:
        file = self.get(file_id)
        if file.content is None or file.done:  # never sent, or finished before
            raise SlackError("file_not_found")
        file.title, file.done = title, True
        return file

    def to_json(self) -> list[Json]:
        return [
            {"id": f.id, "name": f.name, "length": f.length, "title": f.title, "alt_txt": f.alt_txt,
             "snippet_type": f.snippet_type, "done": True, "content": base64.b64encode(f.content or b"").decode()}
            for f in self.by_id.values() if f.done
        ]  # fmt: skip

    def from_json(self, rows: list[Json]) -> None:
        self.by_id = {row["id"]: File(**{**row, "content": base64.b64decode(row["content"])}) for row in rows}
