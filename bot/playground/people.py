"""The cast of the playground: who is who, and what Slack says about each."""

from dataclasses import dataclass
from typing import Any

TEAM = "T0PLAY"
OTHER_TEAM = "T0OTHER"


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    id: str
    name: str
    real_name: str
    title: str = ""
    role: str = "member"  # requester, reviewer, stranger, guest, member: how the page groups them
    colour: str = "#64748b"
    is_admin: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False  # of another organisation, met in a shared channel
    deleted: bool = False
    team_id: str = TEAM

    def as_slack_shows(self) -> dict[str, Any]:
        """The user object of users.info."""
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "color": self.colour.removeprefix("#"),
            "real_name": self.real_name,
            "tz": "Europe/London",
            "tz_label": "Greenwich Mean Time",
            "tz_offset": 0,
            "profile": {
                "title": self.title,
                "real_name": self.real_name,
                "real_name_normalized": self.real_name,
                "display_name": self.name,
                "display_name_normalized": self.name,
                "team": self.team_id,
            },
            "is_admin": self.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": self.is_restricted,
            "is_ultra_restricted": self.is_ultra_restricted,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "is_email_confirmed": not self.is_bot,
            "updated": 1790000000,
            **({"is_stranger": True} if self.is_stranger else {}),
        }


BOT = Person(id="UBOT", name="countersign", real_name="Countersign", title="App", colour="#4f46e5", is_bot=True)
BOT_ID = "B0COUNTER"
APP_ID = "A0COUNTER"

CAST = (
    Person(id="U0ANN", name="ann", real_name="Ann Okafor", title="Writes the launch", role="requester",
           colour="#b45309", is_admin=True),
    Person(id="U0RAE", name="rae", real_name="Rae Lindqvist", title="Reviewer", role="reviewer", colour="#0f766e"),
    Person(id="U0SAM", name="sam", real_name="Sam Duarte", title="Reviewer", role="reviewer", colour="#1d4ed8"),
    Person(id="U0STAN", name="stan", real_name="Stan Petrov", title="Sales", role="stranger", colour="#9333ea"),
    Person(id="U0GUS", name="gus", real_name="Gus Aldana", title="Guest", role="guest", colour="#be185d",
           is_restricted=True),
    Person(id="U0DEE", name="dee", real_name="Dee Marsh", title="Left in spring", colour="#475569", deleted=True),
    Person(id="U0ZOE", name="zoe", real_name="Zoe Hartmann", title="Partner agency", role="guest", colour="#4d7c0f",
           is_stranger=True, team_id=OTHER_TEAM),
)  # fmt: skip
