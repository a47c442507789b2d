"""DANE has priority over MTA-STS, and MTA-STS over the default; in doubt mail waits."""

import asyncio
from dataclasses import dataclass, field

import pytest

from chatmaild.service.counters import Counters
from chatmaild.tlspolicy import places, policy_store
from chatmaild.tlspolicy.daemon import Server
from chatmaild.tlspolicy.level import Answer, Decider, DnsUnavailableError, Tlsa
from chatmaild.tlspolicy.sts import Policy, StsError

DOMAIN = "example.org"
EE = Tlsa(3, 1, 1)
ENFORCE = Policy("enforce", ("mx.example.org", "*.example.net"), 1000)
SECURE = "secure match=mx.example.org:.example.net servername=hostname"


@dataclass
class World:
    """DNS and the policy host of one domain."""

    servers: Answer[str] = field(default_factory=lambda: Answer(["mx.example.org"], secure=False))
    signed_addresses: bool = True
    tlsa_records: Answer[Tlsa] = field(default_factory=lambda: Answer([], secure=True))
    record: bytes | None = None
    policy: Policy | None = ENFORCE
    silent: str = ""
    silent_hosts: str = "nobody"
    fetches: int = 0
    now: float = 0.0

    def _speak(self, question: str) -> None:
        if question == self.silent:
            raise DnsUnavailableError

    async def mail_servers(self, domain: str) -> Answer[str]:
        """See `Dns`."""
        self._speak("MX")
        return self.servers

    async def addresses(self, host: str) -> Answer[str]:
        """See `Dns`."""
        return Answer(["192.0.2.1"], self.signed_addresses)

    async def tlsa(self, host: str) -> Answer[Tlsa]:
        """See `Dns`."""
        self._speak("TLSA")
        return self.tlsa_records

    async def txt(self, name: str) -> Answer[bytes]:
        """See `Dns`."""
        self._speak("TXT")
        return Answer([self.record] if self.record else [], secure=False)

    async def fetch(self, domain: str, addresses: list[str]) -> Policy:
        """See `Fetch`."""
        self.fetches += 1
        await asyncio.sleep(0)
        if domain.endswith(self.silent_hosts):
            await asyncio.Event().wait()
        if self.policy is None:
            raise StsError("no")
        return self.policy

    def decider(self) -> Decider:
        """Return a decider for this world."""
        return Decider(self, self.policies(), self.fetch, clock=self.time)

    def policies(self) -> policy_store.Policies:
        """Return a store of policies with this world's clock, in memory."""
        return policy_store.Policies(clock=self.time)

    def time(self) -> float:
        """Return the time in seconds."""
        return self.now


def level(world: World, decider: Decider | None = None) -> str | None:
    """Query the level once."""
    return asyncio.run((decider or world.decider()).level(DOMAIN))


def signed(**more: object) -> World:
    """Return a world with DANE."""
    world = World(Answer(["mx.example.org"], secure=True), tlsa_records=Answer([EE], secure=True))
    for name, value in more.items():
        setattr(world, name, value)
    return world


def test_a_domain_without_anything_gets_the_default() -> None:
    """Postfix then verifies the name in the certificate."""
    assert level(World()) is None


def test_dane_comes_first() -> None:
    """RFC 8461 2: a policy never overrides DANE."""
    world = signed(record=b"v=STSv1; id=1")
    assert level(world) == "dane-only"
    assert world.fetches == 0


@pytest.mark.parametrize(
    "world",
    [
        signed(servers=Answer(["mx.example.org"], secure=False)),
        signed(signed_addresses=False),
        signed(tlsa_records=Answer([EE], secure=False)),
        signed(tlsa_records=Answer([Tlsa(1, 1, 1), Tlsa(3, 7, 1), Tlsa(3, 1, 9)], secure=True)),
    ],
)
def test_unsigned_or_unusable_records_are_not_dane(world: World) -> None:
    """An attacker could have written them, or they cannot be used for verification."""
    assert level(world) is None


def test_an_enforced_policy_names_the_hosts() -> None:
    """The certificate must contain one of the policy's names."""
    assert level(World(record=b"v=STSv1; id=1")) == SECURE


@pytest.mark.parametrize("mode", ["testing", "none"])
def test_a_policy_that_is_not_enforced_changes_nothing(mode: str) -> None:
    """The default is stricter than such policies."""
    world = World(record=b"v=STSv1; id=1", policy=Policy(mode, ("mx.example.org",), 1000))
    assert level(world) is None


def test_a_policy_is_fetched_again_when_its_id_changes_or_it_expires() -> None:
    """RFC 8461 3.1: a new id announces a new policy."""
    world = World(record=b"v=STSv1; id=1")
    decider = world.decider()
    for _ in range(3):
        assert level(world, decider) == SECURE
    assert world.fetches == 1
    world.record = b"v=STSv1; id=2"
    level(world, decider)
    assert world.fetches == 2
    world.now = 1001
    level(world, decider)
    assert world.fetches == 3


@pytest.mark.parametrize("silent", ["", "TXT"])
def test_a_kept_policy_outlives_its_suppressed_record(silent: str) -> None:
    """An attacker who suppresses DNS answers must not be able to disable a policy."""
    world = World(record=b"v=STSv1; id=1")
    decider = world.decider()
    assert level(world, decider) == SECURE
    world.record, world.silent = None, silent
    assert level(world, decider) == SECURE


def test_a_failed_fetch_is_not_repeated_at_once() -> None:
    """RFC 8461 3.3: the domain counts as one without a policy for some minutes."""
    world = World(record=b"v=STSv1; id=1", policy=None)
    decider = world.decider()
    assert level(world, decider) is None
    assert level(world, decider) is None
    assert world.fetches == 1
    world.policy, world.now = ENFORCE, 301
    assert level(world, decider) == SECURE


def test_a_policy_that_cannot_be_renewed_remains_valid() -> None:
    """A broken policy host does not disable the known policy."""
    world = World(record=b"v=STSv1; id=1")
    decider = world.decider()
    assert level(world, decider) == SECURE
    world.record, world.policy = b"v=STSv1; id=2", None
    assert level(world, decider) == SECURE


def test_a_policy_outlives_a_second_fetch_that_failed() -> None:
    """A forged id and a blocked fetch disabled a stored policy after five minutes."""
    world = World(record=b"v=STSv1; id=1")
    decider = world.decider()
    assert level(world, decider) == SECURE
    world.record, world.policy = b"v=STSv1; id=2", None
    for world.now in (1.0, 302.0, 603.0, 999.0):
        assert level(world, decider) == SECURE
    assert world.fetches == 5
    world.now = 1301.0
    assert level(world, decider) is None


def test_a_policy_in_use_is_renewed_before_it_expires() -> None:
    """RFC 8461 10.2: no mail waits for the renewal, and a failed fetch has no effect."""
    world = World(record=b"v=STSv1; id=1")
    decider = world.decider()
    assert level(world, decider) == SECURE

    async def ask() -> str | None:
        said = await decider.level(DOMAIN)
        if renewal := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(renewal, timeout=5)
        return said

    for world.now in (499.0, 500.0, 501.0, 999.0, 1001.0):
        assert asyncio.run(ask()) == SECURE
    assert world.fetches == 3
    world.policy = None
    for world.now in (1500.0, 1501.0, 1801.0):
        assert asyncio.run(ask()) == SECURE
    assert world.fetches == 5


def test_simultaneous_queries_cause_one_fetch() -> None:
    """A thousand messages to one domain do not contact its policy host a thousand times."""
    world = World(record=b"v=STSv1; id=1")
    decider = world.decider()

    async def together() -> list[str | None]:
        return await asyncio.gather(*(decider.level(DOMAIN) for _ in range(50)))

    assert asyncio.run(together()) == [SECURE] * 50
    assert world.fetches == 1


def test_silent_policy_hosts_of_one_domain_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """150 of them took all places, and mail to a new relay waited for 15 seconds."""
    monkeypatch.setattr(places, "WAIT_SECONDS", 0.1)
    world = World(record=b"v=STSv1; id=1", silent_hosts=".evil.test")
    decider = world.decider()

    async def attacked() -> tuple[str | None, list[str | None]]:
        asking = [
            asyncio.create_task(decider.level(f"n{number}.evil.test")) for number in range(150)
        ]
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            victim = await decider.level(DOMAIN)
        assert not any(task.done() for task in asking)
        # Those without a place do without a policy.
        ended = asyncio.as_completed(asking)
        async with asyncio.timeout(5):
            others = [await next(ended) for _ in range(150 - places.PER_BASE_DOMAIN)]
        for task in asking:
            task.cancel()
        return victim, others

    victim, others = asyncio.run(attacked())
    assert victim == SECURE
    assert others == [None] * (150 - places.PER_BASE_DOMAIN)
    assert world.fetches == 1 + places.PER_BASE_DOMAIN


@pytest.mark.parametrize(
    ("key", "silent", "reply"),
    [
        ("example.org", "", f"OK {SECURE}"),
        ("EXAMPLE.org", "", f"OK {SECURE}"),
        (".org", "", "NOTFOUND "),
        ("[192.0.2.1]", "", "NOTFOUND "),
        ("example.org:26", "", "NOTFOUND "),
        ("", "", "NOTFOUND "),
        ("a b", "", "NOTFOUND "),
        ("example.org", "MX", "TEMP the DNS gives no answer about this domain"),
        ("example.org", "TXT", "TEMP the DNS gives no answer about this domain"),
    ],
)
def test_answers_postfix(key: str, silent: str, reply: str) -> None:
    """A key that is not a domain has no policy; without a DNS answer mail waits."""
    world = World(record=b"v=STSv1; id=1", silent=silent)
    assert asyncio.run(Server(world.decider(), world, Counters()).answer("tls", key)) == reply


def test_an_error_makes_mail_wait(caplog: pytest.LogCaptureFixture) -> None:
    """An exception must not look like a domain without a policy."""
    world = World()
    world.servers = None  # type: ignore[assignment]
    assert asyncio.run(
        Server(world.decider(), world, Counters()).answer("tls", "a.test")
    ).startswith("TEMP ")
    assert "a.test" not in caplog.text


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (b"15:tls example.org,15:tls example.org,", b"9:NOTFOUND ," * 2),
        (b"9999:x", b""),
        (b"x:tls,", b""),
        (b"3:tls;", b""),
        (b"7" * 5000, b""),
    ],
)
def test_closes_connections_that_violate_the_protocol(sent: bytes, got: bytes) -> None:
    """A connection carries many queries; an invalid one ends it."""

    async def talk() -> bytes:
        server = Server(World().decider(), World(), Counters())
        running = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1024)
        async with running:
            reader, writer = await asyncio.open_connection(*running.sockets[0].getsockname())
            writer.write(sent)
            writer.write_eof()
            async with asyncio.timeout(5):
                said = await reader.read()
            writer.close()
        return said

    assert asyncio.run(talk()) == got
