"""The small doors beside the Web API: response URLs, uploads, downloads."""

from dataclasses import dataclass

from aiohttp import web

from bot.playground.response_urls import ResponseUrls
from bot.playground.shapes import SlackError
from bot.playground.web_api import WebApi, cut


@dataclass(kw_only=True)
class Doors:
    api: WebApi
    response_urls: ResponseUrls
    bot_token: str

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/respond/{key}", self._respond)
        app.router.add_post("/upload/{file}", self._upload)
        app.router.add_get("/files-pri/{file}", self._download)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        if self.api.down:
            return cut(request)
        try:
            self.response_urls.answer(request.match_info["key"], await request.json())
        except SlackError as refusal:
            return web.json_response(refusal.body, status=404 if refusal.error.endswith("_url") else 400)
        return web.Response(text="ok")

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        try:
            file = self.api.workspace.files.get(request.match_info["file"])
        except SlackError as refusal:
            return web.json_response(refusal.body, status=404)
        if request.content_type == "multipart/form-data":
            fields = (field for field in (await request.post()).values() if isinstance(field, web.FileField))
            content = b"".join(field.file.read() for field in fields)
        else:
            content = await request.read()
        if len(content) != file.length:
            return web.Response(status=400, text="the length differs from the one announced")
        file.content = content
        return web.Response(text=f"OK - {file.length}")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.bot_token}" or "files:read" not in self.api.scopes:
            return web.Response(status=403)
        file = self.api.workspace.files.by_id.get(request.match_info["file"])
        return web.Response(body=file.content) if file and file.content else web.Response(status=404)
