"""Paths, queries and fields that somebody behind us could take for something else."""

from tests.e2e.attacks.attack import Attack, plain, scenario


@scenario
async def row_19_dots(attack: Attack) -> None:
    """A path that some server would shorten is refused, or forwarded exactly as it was matched."""
    tails = [b"/../admin", b"/%2e%2e/admin", b"/.%2e/admin", b"/..%2fadmin", b"/%252e%252e/admin", b"/..;/admin"]
    tails += [b"/%5c..%5cadmin", b"/./admin", b"/..", b"/..%00/admin", b"/%c0%ae%c0%ae/admin", b"/.%00./admin"]
    tails += [b"/%2E%2E%2Fadmin", b"/..\\admin", b"/%2e", b"/..%3badmin", b"/x/%2e%2e%5cadmin"]
    outcomes = await attack.all(*(plain(target=b"%P" + tail) for tail in tails))
    for tail, outcome in zip(tails, outcomes, strict=True):
        targets = [request.target for request in outcome.seen]
        if tail in (b"/%252e%252e/admin", b"/%c0%ae%c0%ae/admin", b"/..%3badmin"):
            assert targets in ([], [outcome.target + tail]), outcome
        else:
            outcome.check_refused()
        assert outcome.answers, outcome


@scenario
async def row_20_other_hosts(attack: Attack) -> None:
    """A path that looks like another host leads to no other host and into no redirect."""
    for target in (b"//evil.test%P", b"/\\evil.test%P", b"/http://evil.test%P", b"///evil.test%P", b"/%2f/evil.test%P"):
        outcome = await attack(plain(target=target))
        assert outcome.answers
        assert all(answer.header(b"location") is None for answer in outcome.answers), outcome
    assert not attack.service.requests
    inside = await attack(plain(target=b"%P/http://evil.test/"))
    assert [request.target for request in inside.seen] == [inside.target + b"/http://evil.test/"]


@scenario
async def row_21_encoded_delimiters(attack: Attack) -> None:
    """Encoded delimiters stay encoded, and encoded control characters are refused."""
    for tail in (b"%3Fadmin=1", b"%23x", b"/a%2Fb", b"%26", b"%2e%2ex"):
        outcome = await attack(plain(target=b"%P/x" + tail))
        assert [request.target for request in outcome.seen] == [outcome.target + b"/x" + tail], outcome
    for tail in (b"%0d%0ax-injected:%201", b"%00", b"%0a", b"%7f", b"%c2%85"):
        (await attack(plain(target=b"%P/x" + tail))).check_refused()
    assert all(request.header(b"x-injected") is None for request in attack.service.requests)


@scenario
async def row_22_broken_paths(attack: Attack) -> None:
    """Broken escapes, raw bytes and blanks in a path, and paths without end, are refused."""
    for tail in (b"/%zz", b"/%", b"/%1", b"/\xc3\xa4", b"/a b", b"/\x01", b"/" + b"a" * 20_000, b"/" + b"a" * 65_536):
        outcome = await attack(plain(target=b"%P" + tail))
        outcome.check_refused()
        assert all(400 <= status < 500 or status == 505 for status in outcome.statuses), outcome.statuses


@scenario
async def row_23_queries(attack: Attack) -> None:
    """A query arrives byte for byte, however strange."""
    queries = [b"a=1;b=2", b"&&a&&", b"a=%zz", b"a=1&a=2&a", b"a=%00", b"?", b"a=b?c=d", b"%3f%26", b"a=+%20"]
    queries.append(b"&".join(b"p%d" % number for number in range(4_000)))
    for query in queries:
        outcome = await attack(plain(target=b"%P?" + query))
        if outcome.seen or 200 in outcome.statuses:
            assert [request.target for request in outcome.seen] == [outcome.target + b"?" + query], outcome
        else:
            assert all(status in (400, 414, 431) for status in outcome.statuses), outcome
    flood = await attack(plain(target=b"%P?" + b"a=1&" * 20_000))
    flood.check_one() if not flood.seen else None
    assert all(len(request.target) > 80_000 for request in flood.seen), flood.statuses


@scenario
async def row_24_underscores_and_ours(attack: Attack) -> None:
    """Fields that frameworks take for others, and fields that nodes say to each other, never come from outside."""
    outcome = await attack(
        plain(
            b"x_forwarded_for: 1.2.3.4",
            b"remote_user: root",
            b"x-hydra-service: admin",
            b"hydra-path: 1",
            b"hydra-instance: x",
            b"hydra-signature: v1;t=1;n=1;s=1",
            b"hydra_key: x",
            b"x-fine: 1",
        )
    )
    (request,) = outcome.seen
    assert request.header(b"x-fine") == b"1"
    assert not [name for name, _ in request.headers if b"_" in name or name.startswith(b"x-hydra")]
    assert len(request.all(b"hydra-path")) == 1
    assert request.all(b"hydra-path") != [b"1"]
    assert request.header(b"hydra-instance") is request.header(b"hydra-signature") is None


@scenario
async def row_25_forged_forwarding(attack: Attack) -> None:
    """What a stranger says about itself is overwritten or dropped, and routes nothing."""
    names = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix", b"x-forwarded-port")
    names += (b"forwarded", b"x-real-ip", b"x-original-url", b"x-rewrite-url", b"x-http-method-override", b"client-ip")
    outcome = await attack(plain(*(name + b": /forged" for name in names)))
    (request,) = outcome.seen
    assert request.start.startswith(b"GET ")
    assert not [pair for pair in request.headers if b"/forged" in pair[1]]
    # uvicorn itself believes a peer on loopback, and makes of it a client that is no address.
    assert request.all(b"x-forwarded-for") in ([b"127.0.0.1"], [b"unknown"])


@scenario
async def row_26_cookies(attack: Attack) -> None:
    """Cookies arrive unchanged and in order, in as many lines as they came."""
    first = b"; ".join(b"c%d=%d" % (number, number) for number in range(100))
    second = b'odd="a b", x; =; ; \xe9'
    outcome = await attack(plain(b"cookie: " + first, b"cookie: " + second))
    (request,) = outcome.seen
    assert request.all(b"cookie") in ([first, second], [first + b"; " + second])


@scenario
async def row_27_28_set_cookies(attack: Attack) -> None:
    """Three Set-Cookie fields stay three, and nothing of them is remembered for the next request."""
    outcome = await attack(plain().replace(b"%P", b"%P?answer=cookies"))
    (answer,) = outcome.answers
    assert answer.all(b"set-cookie") == [b"a=1; Domain=.site.test", b"b=2", b"c=3; Path=/"]
    again = await attack(plain())
    assert again.seen[0].header(b"cookie") is None


@scenario
async def row_29_locations(attack: Attack) -> None:
    """A redirect of a service is the client's to follow, and leads to no address that is only known inside."""
    for name, location in (
        (b"302", b"http://169.254.169.254/latest"),
        (b"slashes", b"//evil.test/x"),
        (b"inside", b"/inside?x=1"),
    ):
        outcome = await attack(plain().replace(b"%P", b"%P?answer=" + name))
        (answer,) = outcome.answers
        assert (answer.status, answer.header(b"location")) == (302, location), outcome
        assert len(outcome.seen) == 1, outcome


@scenario
async def row_30_traces(attack: Attack) -> None:
    """A trace that is none goes no further, one that is sound passes as it is, and either request is answered."""
    sound = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for trace in (b"x" * 10_240, b"00-zz", b"\xff", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", sound):
        outcome = await attack(plain(b"traceparent: " + trace, b"tracestate: " + trace))
        assert outcome.statuses in ([200], [400]), outcome
        for request in outcome.seen:
            assert request.all(b"traceparent") == ([sound] if trace == sound else []), outcome
    twice = await attack(plain(b"traceparent: " + sound, b"traceparent: " + sound.replace(b"0a", b"0b")))
    assert all(len(request.all(b"traceparent")) <= 1 for request in twice.seen), twice


@scenario
async def row_31_loops(attack: Attack) -> None:
    """A request that has no hops left, or made more of them than any site has, goes no further."""
    via = b"via: " + b", ".join(b"1.1 hop%d" % number for number in range(20))
    for fields in ((b"max-forwards: 0",), (b"max-forwards: 00",), (via,), (b"via: 1.1 a",) * 20):
        outcome = await attack(plain(*fields))
        outcome.check_refused()
        assert outcome.statuses == [508], outcome
    first = await attack(plain())
    (ours,) = first.seen[0].all(b"via")
    for fields in ((b"via: " + ours,), (b"via: 1.1 other, " + ours,), (b"via: 1.1 other", b"via: " + ours)):
        outcome = await attack(plain(*fields))
        outcome.check_refused()
        assert outcome.statuses == [508], outcome
    one_less = await attack(plain(b"max-forwards: 3"))
    assert one_less.seen[0].header(b"max-forwards") == b"2"
