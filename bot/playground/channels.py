"""The conversations of the playground: four channels, and a direct message with the app for each person."""

from dataclasses import dataclass, field
from typing import Any

from bot.playground.people import BOT, CAST, OTHER_TEAM, TEAM


@dataclass(kw_only=True, slots=True)
class Channel:
    """A conversation. Its switches may be thrown in a test: Slack's own people do that in mid-run, too."""

    id: str
    name: str
    purpose: str = ""
    is_private: bool = False
    is_ext_shared: bool = False
    is_archived: bool = False
    is_im: bool = False
    members: list[str] = field(default_factory=list)

    @property
    def has_bot(self) -> bool:
        return BOT.id in self.members

    @property
    def kind(self) -> str:
        """The channel_type of message events."""
        return "im" if self.is_im else "group" if self.is_private else "channel"

    def as_slack_shows(self) -> dict[str, Any]:
        """The channel object of conversations.info."""
        common = {"id": self.id, "created": 1790000000, "is_archived": self.is_archived, "is_im": self.is_im}
        if self.is_im:
            return {**common, "user": next(user for user in self.members if user != BOT.id), "is_user_deleted": False}
        return {
            **common,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_general": False,
            "is_shared": self.is_ext_shared,
            "is_ext_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_member": self.has_bot,
            "context_team_id": TEAM,
            "creator": "U0ANN",
            "num_members": len(self.members),
            "shared_team_ids": [TEAM, OTHER_TEAM] if self.is_ext_shared else [TEAM],
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": self.purpose, "creator": "U0ANN", "last_set": 1790000000},
        }


def first_channels() -> dict[str, Channel]:
    """The channels of a new workspace, by id."""
    everybody = [person.id for person in CAST if not person.is_stranger]
    channels = (
        Channel(id="C0LAUNCH", name="launch", purpose="What we tell the world", members=[*everybody, BOT.id]),
        Channel(id="C0DOCS", name="docs", purpose="Handbook and how-tos", members=[*everybody, BOT.id]),
        Channel(
            id="C0PARTNERS",
            name="partners",
            purpose="Shared with the partner agency",
            is_ext_shared=True,
            members=[*(person.id for person in CAST), BOT.id],
        ),
        Channel(id="C0QUIET", name="quiet", purpose="The app is not in here", members=everybody),
    )
    return {channel.id: channel for channel in channels}


def direct_message(user: str) -> Channel:
    return Channel(id=f"D{user[1:]}", name="", is_im=True, members=[user, BOT.id])
