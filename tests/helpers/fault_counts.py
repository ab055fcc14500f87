"""The three counts of `make faults`: faults, bad inputs and hostile files; tried and handled."""

from collections import Counter

import pytest

KINDS = {"fault": ("faults", "injected"), "bad_input": ("bad inputs", "tried"), "hostile": ("hostile files", "tried")}


class FaultCounts:
    """Counts outcomes by kind; keeps what was promised for each fault and what was observed."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        self.rows: list[tuple[str, str, str, str]] = []
        self.promises: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if mark := item.get_closest_marker("fault") or item.get_closest_marker("hostile"):
                self.promises[item.nodeid] = str(mark.args[0]) if mark.args else ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        for kind in KINDS:
            if kind in report.keywords:
                self.counts[kind][report.outcome] += 1
                self._add_row(kind, report)

    def _add_row(self, kind: str, report: pytest.TestReport) -> None:
        if kind == "bad_input" and report.outcome == "passed":
            return  # there are a thousand of them
        observed = " / ".join(str(value) for name, value in report.user_properties if name == "observed")
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            observed = str(report.longrepr[2])
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        self.rows.append((KINDS[kind][0], name, self.promises.get(report.nodeid, ""), f"{report.outcome}: {observed}"))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        write = terminalreporter.write_line
        for kind, name, promised, observed in self.rows:
            write(f"\n{kind}: {name}")
            for title, text in (("promised", promised), ("observed", observed)):
                if text:
                    write(f"    {title:9} {text}")
        write("")
        for kind, (title, verb) in KINDS.items():
            count = self.counts[kind]
            tried = sum(count.values()) - count["skipped"]
            skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
            write(f"{title:14} {tried} {verb}, {count['passed']} handled, {count['failed']} not handled{skipped}")
