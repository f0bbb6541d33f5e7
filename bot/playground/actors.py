"""People who act: what a test, or the page on somebody's behalf, can make a person do."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.playground.interactions import Answered, Interactions, filled
from bot.playground.people import Person
from bot.playground.shapes import Json, Message, SlackError, View
from bot.playground.wording import as_slack_keeps_it, in_command
from bot.playground.workspace import Workspace

Wait = Callable[[Callable[[], Any], float], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """One person at their keyboard."""

    person: Person
    workspace: Workspace
    interactions: Interactions
    appears: Wait  # waits for a condition, some seconds at most, and gives what it gave last

    @property
    def id(self) -> str:
        return self.person.id

    async def command(self, command: str, text: str = "", *, channel: str = "launch") -> Answered:
        """Types a slash command into a channel."""
        names = {person.id: person.name for person in self.workspace.people.values()}
        place = self.workspace.channel(channel)
        return await self.interactions.command(self.person, command, in_command(text, names), place)

    async def says(self, text: str, *, channel: str = "launch", thread_ts: str | None = None) -> Message:
        """Posts a message. `<@UBOT>` mentions the app, any other token stands as given."""
        place = self.workspace.channel(channel)
        return self.workspace.says(self.person, place, as_slack_keeps_it(text), thread_ts)

    async def replies(self, message: Message, text: str) -> Message:
        """Posts into the thread of a message."""
        return await self.says(text, channel=message.channel, thread_ts=message.root_ts)

    async def reacts(self, name: str, message: Message) -> None:
        self.workspace.react(self._now(message), self.person.id, name)

    async def unreacts(self, name: str, message: Message) -> None:
        self.workspace.unreact(self._now(message), self.person.id, name)

    async def edits(self, message: Message, text: str) -> Message:
        """Changes a message of one's own; Slack lets nobody change another's."""
        if message.user != self.id:
            raise SlackError("cant_update_message")
        return self.workspace.rewrites(self._now(message), as_slack_keeps_it(text))

    async def deletes(self, message: Message) -> None:
        """Takes a message away: one's own, or anything as an admin."""
        if message.user != self.id and not self.person.is_admin:
            raise SlackError("cant_delete_message")
        self.workspace.delete(self._now(message))

    async def clicks(self, action: str, where: Message | View) -> Answered:
        """Presses the button whose action_id is `action` or begins with it, as the message or modal stands now.

        Where it asks first, the person agrees.
        """
        here = self.workspace.views.get(where.id) if isinstance(where, View) else self._now(where)
        return await self.presses(_element(here.actions, action), here)

    async def presses(self, element: Json, where: Message | View) -> Answered:
        """Presses a button as it was seen once, whatever stands there by now."""
        if isinstance(where, View):
            return await self.interactions.click_in_view(self.person, where, element)
        return await self.interactions.click(self.person, where, element)

    async def uses_shortcut(self, callback_id: str, message: Message) -> View | None:
        """Picks a message shortcut, and waits for the modal that the app opens; None if it opens none."""
        answered = await self.interactions.shortcut(self.person, callback_id, self._now(message))
        if not answered.ok:
            return None
        views = self.workspace.views
        found = await self.appears(lambda: views.opened_by(answered.trigger_id), views.trigger_seconds)
        return found if isinstance(found, View) else None

    async def submits(self, view: View, answers: Mapping[str, Any] | None = None) -> Answered:
        """Sends a modal off; answers by "block_id.action_id", or by action_id alone."""
        view = self.workspace.views.get(view.id)
        return await self.interactions.submit(self.person, view, filled(view, dict(answers or {})))

    async def closes(self, view: View) -> None:
        await self.interactions.close(self.person, self.workspace.views.get(view.id))

    async def opens_home(self, *, seconds: float = 3.0) -> View | None:
        """Opens the app's Home tab, and waits for the app to publish it anew."""
        before = self.workspace.views.homes.get(self.id)
        self.interactions.home_opened(self.person)
        homes = self.workspace.views.homes
        await self.appears(lambda: homes.get(self.id) is not before, seconds)
        return View(homes[self.id]) if self.id in homes else None

    @property
    def view(self) -> View | None:
        """The modal before this person's eyes."""
        return self.workspace.views.current(self.id)

    def _now(self, message: Message) -> Message:
        if message.get("is_ephemeral"):
            return message
        return self.workspace.message(message.channel, message.ts)


def _element(elements: list[Json], action: str) -> Json:
    for fits in (str.__eq__, str.startswith):
        for element in elements:
            if fits(element["action_id"], action):
                return element
    raise AssertionError(f"no button {action!r} here; there are {[element['action_id'] for element in elements]}")
