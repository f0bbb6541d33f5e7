from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.stack_file import CODES, Loaded, StackErrors, read_stack
from bot.stack_words import TABLES
from handlers.remarks import Level
from handlers.stack import Stack, StageName

MODELS = """[models.hare]
wire = "openai"
id = "hare-1"
base_url = "https://api.hare.example/v1\""""
STANDS_FOR = {
    "%MODELS": MODELS,
    "%SWORN": f'{MODELS}\njurisdiction = "eu"\nprice = {{ input = 1, output = 2, checked = 2026-11-01 }}',
    "%REVIEW": '[review]\nreviewers = ["U0OBELIX"]',
    "%TWO": '[review]\nreviewers = ["U0OBELIX", "U0ASTERIX"]',
    "%NINES": "9" * 5_000,
    "%KAYS": "k" * 300,
    "%BELL": "\x07",
    "%NULL": "\x00",
}
TODAY = date(2026, 11, 22)
CASES = [
    pytest.param(*case.partition("\n--\n")[::2], id=name)
    for name, _, case in (
        block.partition("\n")
        for block in Path(__file__).with_name("broken_stacks.txt").read_text("utf-8").split("\n## ")[1:]
    )
]


def written_out(text: str) -> str:
    return re.sub(r"%[A-Z]+", lambda found: STANDS_FOR[found[0]], text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scroll.md").write_text("Be kind to Romans.\n")
    (tmp_path / "empty.md").write_text(" \n")
    (tmp_path / "leaky.md").write_text("Use xoxb-rosebud-1941 to post.\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\xff\xfe")
    return tmp_path


def load(folder: Path, text: str) -> Loaded:
    file = folder / "stack.toml"
    file.write_bytes(written_out(text).encode())
    return read_stack(file, today=TODAY)


def errors(folder: Path, text: str) -> list[str]:
    with pytest.raises(StackErrors) as caught:
        load(folder, text)
    return [str(finding).removeprefix(f"{folder / 'stack.toml'}:") for finding in caught.value.errors]


def codes(loaded: Loaded) -> list[tuple[int, str]]:
    return [(finding.line, finding.code) for finding in loaded.findings]


@pytest.mark.parametrize(("text", "golden"), CASES)
def test_a_broken_stack_is_refused_with_its_code_and_line(folder: Path, text: str, golden: str) -> None:
    assert errors(folder, text) == golden.strip().split("\n")


def test_there_are_enough_broken_stacks() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize(("text", "golden"), CASES)
def test_no_sentence_speaks_of_the_machinery(text: str, golden: str) -> None:
    assert not re.search(r"pydantic|Traceback|Input should|validation|tuple|dict\b|str\b|NoneType|\[type=", golden)


def test_every_code_has_a_line_that_explains_it() -> None:
    used = {code for case in CASES for code in re.findall(r"^\d+: ([A-Z]\d{3}) ", str(case.values[1]), re.MULTILINE)}
    elsewhere = {"E001", "E002", "E003"}
    assert {code for code in CODES if code.startswith("E")} == used | elsewhere
    assert all(re.fullmatch(r"[EWN]\d{3}", code) and text.endswith(".") for code, text in CODES.items())


def test_no_two_codes_share_a_number() -> None:
    assert len({code[1:] for code in CODES if code[0] in "WN"}) == sum(code[0] in "WN" for code in CODES)


def test_the_smallest_legal_stack_is_one_model_and_its_reviewers(folder: Path) -> None:
    loaded = load(folder, "%MODELS\n%REVIEW")
    assert list(loaded.stack.models) == ["hare"]
    assert loaded.digest == loaded.stack.digest
    assert all(finding.level is not Level.ERROR for finding in loaded.findings)


EVERYTHING = """
[models.fast]
wire = "openai"
id = "some-fast-model"
base_url = "https://api.example.com/v1"
key_env = "FAST_API_KEY"
trust = 2
family = "acme"
jurisdiction = "us"
context_tokens = 128_000
concurrency = 8
price = { input = 0.15, output = 0.60, checked = 2026-11-01 }
[models.trusted]
wire = "anthropic"
id = "best"
base_url = "https://api.example.org"
trust = 5
jurisdiction = "eu"
price = { input = 5, output = 25, checked = 2026-11-01 }
[stages.scout]
model = "fast"
fallbacks = []
priority = ["speed", "breadth"]
min_trust = 1
max_output_tokens = 4_000
timeout_seconds = 300
temperature = 0
job = "fetch"
context = "the brief"
instructions = "Be brief."
[stages.draft]
instructions_file = "scroll.md"
[stages.final]
model = "trusted"
priority = ["trust", "caution"]
posture = "final-owner"
min_trust = 4
gate = "review"
[review]
reviewers = ["U0REVIEWER", "S0GROUP"]
backup_reviewers = ["W0ENTERPRISE"]
quorum = 1
solo = false
approve = ["white_check_mark", "heavy_check_mark", "+1"]
send_back = ["x", "leftwards_arrow_with_hook"]
remind_after = "4h"
expire_after = "7d"
webhook_url = "https://rome.example/approved?from=gaul"
webhook_secret_env = "ROME_SECRET"
[channels.default]
jurisdictions = ["us", "eu"]
external = false
[channels.C0GAUL]
jurisdictions = ["eu"]
reviewers = ["U0GETAFIX"]
[budgets]
run_usd = 1.00
thread_usd = 5
day_usd = 50.00
[pipelines]
content = ["scout", "draft", "critique", "final"]
code = ["implement", "critique", "final"]
[repositories.site]
path = "/srv/repos/site.git"
test = ["make", "test"]
[commands]
prefix = "cs-"
[policy]
regulated = false
"""


def test_every_key_of_the_contract_is_read(folder: Path) -> None:
    loaded = load(folder, EVERYTHING)
    stack = loaded.stack
    assert stack.models["fast"].price is not None
    assert stack.pipelines["code"].stages == (StageName.IMPLEMENT, StageName.CRITIQUE, StageName.FINAL)
    assert stack.review.approve[-1] == "+1"
    assert stack.channels["C0GAUL"].reviewers == ("U0GETAFIX",)
    assert not [finding for finding in loaded.findings if finding.level is Level.ERROR]


def test_a_channel_that_leaves_a_stage_without_a_model_is_a_warning(folder: Path) -> None:
    found = [str(finding).split(": ", 1)[1] for finding in load(folder, EVERYTHING).findings if finding.code == "W201"]
    assert found == [
        f"W201 Channel C0GAUL leaves {stage} without a model: fast is operated in us and this channel allows eu."
        for stage in ("scout", "draft", "implement")
    ]


def test_a_limit_for_a_host_that_no_model_is_at_is_a_warning(folder: Path) -> None:
    found = load(folder, '%MODELS\n%REVIEW\n[hosts."api.nobody.example"]\nconcurrency = 4').findings
    (told,) = [str(finding) for finding in found if finding.code == "W202"]
    assert "is the host of no model's base_url" in told


def test_the_text_of_an_instructions_file_becomes_the_instructions(folder: Path) -> None:
    loaded = load(folder, EVERYTHING)
    assert loaded.stack.rules(StageName.DRAFT).instructions == "Be kind to Romans."
    assert loaded.watched == (folder / "stack.toml", folder / "scroll.md")
    (folder / "scroll.md").write_text("Be firm with Romans.")
    assert load(folder, EVERYTHING).digest != loaded.digest


def test_a_comment_does_not_change_the_digest_and_a_swapped_model_does(folder: Path) -> None:
    first = load(folder, "%MODELS\n%REVIEW").digest
    assert load(folder, "# hello\n%REVIEW\n%MODELS").digest == first
    assert load(folder, "%MODELS\ntrust = 4\n%REVIEW").digest != first


def test_a_byte_order_mark_and_windows_line_ends_are_read(folder: Path) -> None:
    file = folder / "stack.toml"
    file.write_bytes(b"\xef\xbb\xbf" + written_out("%MODELS\nmagic = 1\n%REVIEW\n").replace("\n", "\r\n").encode())
    with pytest.raises(StackErrors) as caught:
        read_stack(file)
    assert [finding.line for finding in caught.value.errors] == [5]


def refused(path: Path | str) -> tuple[str, int, str]:
    with pytest.raises(StackErrors) as caught:
        read_stack(path)
    (finding,) = caught.value.findings
    return finding.code, finding.line, finding.sentence


def test_files_that_cannot_be_read_are_said_plainly(tmp_path: Path) -> None:
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    assert refused(tmp_path / "none.toml") == ("E001", 1, "There is no such file; `init` writes one.")
    assert refused(tmp_path) == ("E001", 1, "The file cannot be read: it is a directory.")
    assert refused(pipe) == ("E001", 1, "The file cannot be read: it is not a regular file.")
    assert refused(loop)[:2] == ("E001", 1)
    assert refused("null\x00byte.toml")[:2] == ("E001", 1)
    assert refused(tmp_path / ("long" * 100))[:2] == ("E001", 1)
    assert refused(tmp_path / "stack.toml" / "inside")[:2] == ("E001", 1)


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.toml"
    with huge.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    assert refused(huge) == ("E002", 1, "The file is larger than 256 KiB, which no stack is.")


def test_a_binary_file_is_refused_at_its_first_odd_byte(tmp_path: Path) -> None:
    binary = tmp_path / "stack.toml"
    binary.write_bytes(b'a = 1\nb = "caf\xe9"\n')
    assert refused(binary) == ("E003", 2, "The file is not UTF-8 text.")
    binary.write_bytes(os.urandom(64) + b"\xff" * 8)
    assert refused(binary)[0] == "E003"
    binary.write_text(written_out("%MODELS\n%REVIEW"), encoding="utf-16")
    assert refused(binary)[0] == "E003"


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    for text in ("a = " + "[" * 60_000, "a = " + "[" * 5_000 + "]" * 5_000, "a = " + "{b=" * 5_000 + "1" + "}" * 5_000):
        (tmp_path / "stack.toml").write_text(text)
        assert refused(tmp_path / "stack.toml")[0] == "E004"


SECRETS = [
    "xoxb-rosebud-1941-sledge",
    "xapp-1-A0B1-rosebud",
    "sk-proj-rosebud1941rosebud1941",
    "sk-ant-api03-rosebud1941rosebud",
    "ghp_rosebud1941rosebud1941rosebud",
    "AKIAIOSFODNN7ROSEBUD",
    "whsec_rosebud1941rosebud1941==",
    "hf_rosebud1941rosebud1941rosebud",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyb3NlYnVkIn0.rosebud1941",
]
PLACES = [
    'key_env = "{}"',
    'api_key = "{}"',
    'family = "{}"',
    'price = "{}"',
    'trust = "{}"',
    "magic = {{ deep = ['{}'] }}",
    "'{}' = 1",
    "'{}' = '{}'",
    "'{}'.x = 'y'",
    "[stages.'{}']\nmodel = 'hare'",
    "[stages.scout]\nmodel = '{}'",
    "[stages.scout]\nfallbacks = ['{}']",
    "[stages.scout]\ninstructions_file = '{}'",
    "[channels.'{}']\nexternal = false",
    "[pipelines]\ncontent = ['{}']",
    "[pipelines]\n'{}' = ['scout']",
    "[models.'{}']\nwire = 'x'",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_anywhere_in_the_file_is_refused_and_never_repeated(folder: Path, secret: str) -> None:
    for place in PLACES:
        with pytest.raises(StackErrors) as caught:
            load(folder, f"%REVIEW\n%MODELS\n{place.replace('{}', secret).replace('{{', '{').replace('}}', '}')}")
        said = f"{caught.value} {caught.value!r}"
        assert secret not in said, place
        assert "rosebud" not in said, place


@pytest.mark.parametrize(
    "line",
    [
        'id = "accounts/fireworks/models/llama-v3p1-405b-instruct-long-context"',
        'family = "meta-llama-3-and-all-of-its-many-descendants"',
        'key_env = "THE_VERY_LONG_NAME_OF_A_VARIABLE_WITH_NUMBER_42"',
        'jurisdiction = "european-economic-area-2026"',
    ],
)
def test_long_honest_words_are_no_secrets(folder: Path, line: str) -> None:
    text = written_out("%MODELS\n%REVIEW").replace(
        'id = "hare-1"', line if line.startswith("id") else f'id = "hare-1"\n{line}'
    )
    assert load(folder, text).stack.models


def test_findings_stand_in_the_order_of_the_file(folder: Path) -> None:
    lines = [int(error.split(":")[0]) for error in errors(folder, "%REVIEW\nquorum = 0\n%MODELS\ntrust = 9\nmagic = 1")]
    assert lines == sorted(lines)


def test_every_table_of_the_stack_is_known_to_the_suggestions() -> None:
    reachable: dict[str, object] = {}

    def walk(model: type) -> None:
        reachable[model.__name__] = model
        for definition in Stack.model_json_schema()["$defs"].items():
            if definition[1].get("type") == "object":
                reachable[definition[0]] = definition[1]

    walk(Stack)
    assert set(reachable) == {model.__name__ for model in TABLES.values()}


WORDS = st.sampled_from(
    [
        *("models", "stages", "review", "channels", "hare", "final", "default", "reviewers", "quorum", "price", "x"),
        *(
            "[",
            "]",
            "[[",
            "]]",
            "=",
            ".",
            ",",
            "{",
            "}",
            '"',
            "'",
            '"""',
            "\n",
            " ",
            "#",
            "\\",
            "é",
            "\0",
            "[key]",
            "*",
        ),
        *("1", "true", "2026-11-01"),
    ]
)


def finds_or_reads(file: Path) -> bool:
    """Anything but findings or a stack is raised."""
    try:
        return read_stack(file).digest != ""
    except StackErrors as caught:
        return bool(caught.errors)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=40).map("".join))
def test_whatever_stands_in_the_file_only_findings_come_out(tmp_path: Path, noise: str) -> None:
    for text in (noise, f"{MODELS}\n{noise}"):
        file = tmp_path / "stack.toml"
        file.write_text(text, encoding="utf-8")
        assert finds_or_reads(file)


KEYS = st.sampled_from(
    [*(key for table in TABLES.values() for key in table.model_fields), "hare", "default", "final", "odd"]
)
VALUES = st.recursive(
    st.one_of(
        st.sampled_from(["1", "-1", "1.5", "true", '"hare"', '""', '"4h"', "2026-11-01", "inf", '"U0OBELIX"']),
        st.just("[]"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(KEYS, inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items.items()) + "}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_whatever_the_types_only_findings_come_out(tmp_path: Path, table: dict[str, str]) -> None:
    file = tmp_path / "stack.toml"
    file.write_text("\n".join(f"{key} = {value}" for key, value in table.items()), encoding="utf-8")
    assert finds_or_reads(file)
