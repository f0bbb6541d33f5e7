"""What a person's hand does to the app: payloads of commands, clicks, shortcuts, modals; and what their acks do."""

import time
from dataclasses import dataclass, field
from typing import Any

from bot.playground.blocks_check import check_message_blocks
from bot.playground.blocks_kept import kept_blocks
from bot.playground.channels import Channel
from bot.playground.delivery import Delivery, Kind
from bot.playground.methods_more import checked_view
from bot.playground.people import APP_ID, TEAM, Person
from bot.playground.response_urls import ResponseUrls
from bot.playground.safety import Safety
from bot.playground.shapes import Json, Message, SlackError, View
from bot.playground.wording import as_slack_keeps_it
from bot.playground.workspace import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What the person saw at once: the ack's text, a form's errors, or how it failed."""

    text: str = ""
    response_type: str = "ephemeral"
    blocks: list[Json] = field(default_factory=list)
    problem: str = ""  # operation_timeout, dispatch_failed, or ""
    errors: dict[str, str] = field(default_factory=dict)  # block_id -> sentence, of a modal
    trigger_id: str = ""
    response_url: str = ""
    view: View | None = None  # the modal this person has before their eyes afterwards

    @property
    def ok(self) -> bool:
        return not self.problem and not self.errors

    @property
    def timed_out(self) -> bool:
        return self.problem == "operation_timeout"


@dataclass(kw_only=True)
class Interactions:
    """Builds the payloads, delivers them, and does what the answers ask for."""

    workspace: Workspace
    delivery: Delivery
    response_urls: ResponseUrls
    safety: Safety

    async def command(self, person: Person, command: str, text: str, channel: Channel) -> Answered:
        trigger = self.workspace.views.new_trigger(person.id)
        response_url = self.response_urls.new(person.id, channel.id)
        payload = {
            "token": "playground", "team_id": TEAM, "team_domain": "playground", "channel_id": channel.id,
            "channel_name": channel.name or "directmessage", "user_id": person.id, "user_name": person.name,
            "command": command, "text": text, "api_app_id": APP_ID, "is_enterprise_install": "false",
            "response_url": response_url, "trigger_id": trigger.id,
        }  # fmt: skip
        ack = await self.delivery.once(Kind.COMMAND, payload)
        problem = ack.problem
        if ack.body.get("text") or ack.body.get("blocks"):
            problem = self._show_ack(person, channel, ack.body, f"{command} {text}".strip())
        self._show_problem(person, problem, command)
        return Answered(
            text=str(ack.body.get("text", "")),
            response_type=str(ack.body.get("response_type", "ephemeral")),
            blocks=list(ack.body.get("blocks") or ()),
            problem=problem,
            trigger_id=trigger.id,
            response_url=response_url,
        )

    def _show_problem(self, person: Person, problem: str, what: str) -> None:
        if problem:
            self.workspace.tell({"type": "toast", "text": f"{what} failed: {problem}", "tone": "bad", "as": person.id})

    def _show_ack(self, person: Person, channel: Channel, body: Json, typed: str) -> str:
        """Shows the ack's words, and gives the problem if Slack cannot."""
        visible = body.get("response_type") == "in_channel"
        self.safety.answered(body, f"the ack of {typed}", visible=visible)
        content: dict[str, Any] = {"text": as_slack_keeps_it(str(body.get("text", "")))}
        if blocks := body.get("blocks"):
            try:
                check_message_blocks(blocks)
            except SlackError as refusal:
                return refusal.error
            content["blocks"] = kept_blocks(blocks)
        if visible:  # then the typed command shows, too
            self.workspace.says(person, channel, as_slack_keeps_it(typed))
            self.workspace.post(channel, **self.workspace.bot_fields(), **content)
        else:
            self.workspace.whisper(person.id, channel.id, **content)
        return ""

    async def click(self, person: Person, message: Message, element: Json, chosen: Json | None = None) -> Answered:
        """A button pressed (or an option `chosen`) in a message."""
        channel = self.workspace.channels[message.channel]
        container: Json = {
            "type": "message", "message_ts": message.ts, "channel_id": channel.id,
            "is_ephemeral": bool(message.get("is_ephemeral")),
        }  # fmt: skip
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        payload = self._interaction("block_actions", person) | {
            "container": container,
            "channel": _named(channel),
            "state": {"values": {}},
            "response_url": self.response_urls.new(person.id, channel.id, message),
            "actions": [_action(element, chosen)],
        }
        if not message.get("is_ephemeral"):  # the app is not shown what it whispered
            payload["message"] = {key: value for key, value in message.items() if key != "channel"}
        return await self._interact(person, payload, "The button")

    async def click_in_view(self, person: Person, view: View, element: Json, chosen: Json | None = None) -> Answered:
        payload = self._interaction("block_actions", person) | {
            "container": {"type": "view", "view_id": view.id},
            "view": _sent(view),
            "actions": [_action(element, chosen)],
        }
        return await self._interact(person, payload, "The button")

    async def shortcut(self, person: Person, callback_id: str, message: Message) -> Answered:
        channel = self.workspace.channels[message.channel]
        payload = self._interaction("message_action", person) | {
            "action_ts": self.workspace.new_ts(),
            "callback_id": callback_id,
            "channel": _named(channel),
            "message_ts": message.ts,
            "message": {key: value for key, value in message.items() if key != "channel"},
            "response_url": self.response_urls.new(person.id, channel.id),
        }
        return await self._interact(person, payload, "The shortcut")

    async def submit(self, person: Person, view: View, values: Json) -> Answered:
        """A modal sent off; `values` as Slack nests them: block_id -> action_id -> state."""
        if missing := _missing(view, values):
            return Answered(errors=missing, view=view)  # Slack's own form keeps it from being sent
        payload = self._interaction("view_submission", person) | {
            "view": {**_sent(view), "state": {"values": values}},
            "response_urls": [],
        }
        ack = await self.delivery.once(Kind.INTERACTION, payload)
        if ack.problem:
            return Answered(problem=ack.problem, view=view)
        try:
            return self._respond(person, view, ack.body)
        except SlackError as refusal:  # a view that Slack would not show
            return Answered(problem=refusal.error, view=view)

    def _respond(self, person: Person, view: View, body: Json) -> Answered:
        views = self.workspace.views
        match body:
            case {"response_action": "errors", "errors": dict() as errors}:
                return Answered(errors=errors, view=view)
            case {"response_action": "update", "view": dict() as changed}:
                views.update(view, checked_view(changed))
            case {"response_action": "push", "view": dict() as pushed}:
                views.push_as_answer(person.id, checked_view(pushed))
            case {"response_action": "clear"}:
                views.close_all(person.id)
            case _ if (current := views.current(person.id)) and current.id == view.id:
                views.close(view)
            case _:
                pass
        return Answered(view=views.current(person.id))

    async def close(self, person: Person, view: View) -> None:
        self.workspace.views.close(view)
        if view.get("notify_on_close"):
            payload = self._interaction("view_closed", person) | {"view": _sent(view), "is_cleared": False}
            payload.pop("trigger_id")
            await self.delivery.once(Kind.INTERACTION, payload)

    def home_opened(self, person: Person, tab: str = "home") -> None:
        channel = self.workspace.direct_message(person.id)
        event: Json = {"type": "app_home_opened", "user": person.id, "channel": channel.id, "tab": tab}
        event["event_ts"] = self.workspace.new_ts()
        if home := self.workspace.views.homes.get(person.id):
            event["view"] = _sent(View(home))
        self.workspace.happens(event)

    async def _interact(self, person: Person, payload: Json, what: str) -> Answered:
        ack = await self.delivery.once(Kind.INTERACTION, payload)
        self._show_problem(person, ack.problem, what)
        return Answered(
            problem=ack.problem,
            trigger_id=payload["trigger_id"],
            response_url=payload.get("response_url", ""),
            view=self.workspace.views.current(person.id),
        )

    def _interaction(self, kind: str, person: Person) -> Json:
        return {
            "type": kind,
            "token": "playground",
            "api_app_id": APP_ID,
            "team": {"id": TEAM, "domain": "playground"},
            "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team_id},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": self.workspace.views.new_trigger(person.id).id,
        }


def _named(channel: Channel) -> Json:
    return {"id": channel.id, "name": channel.name or "directmessage"}


def _sent(view: View) -> Json:
    return {key: value for key, value in view.items() if key != "user"}


def _action(element: Json, chosen: Json | None) -> Json:
    shown = {"text", "value", "url", "style", "type", "action_id", "block_id"}
    action = {key: value for key, value in element.items() if key in shown}
    action["action_ts"] = f"{time.time():.6f}"
    if chosen:
        action |= chosen
    return action


def _missing(view: View, values: Json) -> dict[str, str]:
    """What Slack's own form refuses: an input that must be filled and is not."""
    missing = {}
    for block in view.blocks:
        if block["type"] == "input" and not block.get("optional"):
            state = values.get(block["block_id"], {}).get(block["element"]["action_id"], {})
            if not any(value for name, value in state.items() if name != "type"):
                missing[block["block_id"]] = "Please complete this required field."
    return missing


def filled(view: View, answers: dict[str, Any]) -> Json:
    """The state of a form: `answers` by "block_id.action_id" (or action_id alone), first values for the rest."""
    values: Json = {}
    left = dict(answers)
    for path, element in view.inputs.items():
        block_id, _, action_id = path.partition(".")
        key = path if path in left else action_id
        state = _state(element, left.pop(key)) if key in left else _first(element)
        values.setdefault(block_id, {})[action_id] = {"type": element["type"], **state}
    if left:
        raise AssertionError(f"the form has no {sorted(left)}; it has {sorted(view.inputs)}")
    return values


def _state(element: Json, answer: Any) -> Json:
    match element["type"]:
        case "static_select" | "radio_buttons":
            return {"selected_option": _option(element, answer)}
        case "multi_static_select" | "checkboxes":
            return {"selected_options": [_option(element, one) for one in answer]}
        case "users_select":
            return {"selected_user": answer}
        case "conversations_select" | "channels_select":
            return {f"selected_{element['type'].split('s_', maxsplit=1)[0]}": answer}
        case _:
            return {"value": answer}


def _option(element: Json, wanted: str) -> Json:
    options = [*element.get("options", ()), *(o for g in element.get("option_groups", ()) for o in g["options"])]
    for option in options:
        if wanted in {option["value"], option["text"]["text"]}:
            return dict(option)
    raise AssertionError(f"no option {wanted!r}; there are {[option['value'] for option in options]}")


def _first(element: Json) -> Json:
    names = {"initial_value": "value", "initial_option": "selected_option", "initial_options": "selected_options"}
    for initial, name in names.items():
        if initial in element:
            return {name: element[initial]}
    return {"value": None} if element["type"] == "plain_text_input" else {}
