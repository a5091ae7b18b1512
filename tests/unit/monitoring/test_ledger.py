"""Counting exactly once: single cases. The property test has the rest."""

from __future__ import annotations

from monitoring.domain.ledger import Checkpoint, Ledger, Second, settle
from tests.fakes.counting_replica import CountingReplica


def seconds(closed):
    return [each for each in closed if isinstance(each, Second)]


def checkpoints(closed):
    return [each for each in closed if isinstance(each, Checkpoint)]


def requests(closed):
    return sum(w.counts.total_requests for each in closed for w in each.windows)


def test_a_second_holds_what_was_counted_between_two_pulls():
    ledger, replica = Ledger(), CountingReplica(booted_at=1000.0)
    replica.serve(2)
    ledger.receive(replica.report(1000.7), 1000.7)
    replica.serve(5, failed=1)
    ledger.receive(replica.report(1001.7), 1001.7)

    first, second = seconds(ledger.close(1002.0))

    assert [(w.start, w.end, w.counts.total_requests) for w in first.windows] == [(1000, 1001, 2)]
    assert [(w.start, w.end) for w in second.windows] == [(1001, 1002)]
    assert second.windows[0].counts.requests == {"2xx": 5, "4xx": 0, "5xx": 1}
    assert second.windows[0].counts.latency.total.count == 6


def test_replicas_of_one_release_share_a_window():
    ledger = Ledger()
    for name in ("rep_A", "rep_B"):
        replica = CountingReplica(replica=name)
        replica.serve(3)
        ledger.receive(replica.report(1000.7), 1000.7)

    (second,) = seconds(ledger.close(1001.0))

    assert [w.counts.total_requests for w in second.windows] == [6]
    assert len(second.entries) == 2


def test_releases_do_not_share_a_window():
    ledger = Ledger()
    for name, release in (("rep_A", "rel_1"), ("rep_B", "rel_2")):
        ledger.receive(CountingReplica(name, release).report(1000.7), 1000.7)

    (second,) = seconds(ledger.close(1001.0))

    assert {w.release for w in second.windows} == {"rel_1", "rel_2"}


def test_a_second_that_is_not_over_waits():
    ledger, replica = Ledger(), CountingReplica()
    ledger.receive(replica.report(1000.7), 1000.7)

    assert ledger.close(1000.9) == []
    assert ledger.waiting == 1


def test_an_idle_replica_leaves_a_window_of_nothing():
    ledger, replica = Ledger(), CountingReplica()
    ledger.receive(replica.report(1000.7), 1000.7)

    (second,) = seconds(ledger.close(1001.0))

    assert [w.counts.total_requests for w in second.windows] == [0]


def test_a_repeated_pull_counts_nothing():
    ledger, replica = Ledger(), CountingReplica()
    replica.serve(4)
    report = replica.report(1000.5)
    ledger.receive(report, 1000.5)
    ledger.receive(report, 1000.6)

    assert requests(ledger.close(1001.0)) == 4


def test_a_pull_that_was_overtaken_counts_nothing():
    ledger, replica = Ledger(), CountingReplica()
    replica.serve(4)
    earlier = replica.report(1000.1)
    replica.serve(3)
    ledger.receive(replica.report(1000.5), 1000.5)
    ledger.receive(earlier, 1000.6)

    assert requests(ledger.close(1001.0)) == 7


def test_a_restarted_replica_is_counted_from_nothing_again():
    ledger, replica = Ledger(), CountingReplica()
    replica.serve(4)
    ledger.receive(replica.report(1000.5), 1000.5)
    replica.restart(1001.0)
    replica.serve(6)
    ledger.receive(replica.report(1001.5), 1001.5)

    assert requests(ledger.close(1002.0)) == 10


def test_a_late_answer_of_the_boot_before_counts_only_what_is_new():
    ledger, replica = Ledger(), CountingReplica()
    replica.serve(4)
    ledger.receive(replica.report(1000.2), 1000.2)
    replica.serve(1)
    late = replica.report(1000.4)
    replica.restart(1000.5)
    replica.serve(6)
    ledger.receive(replica.report(1000.6), 1000.6)
    ledger.receive(late, 1000.8)

    assert requests(ledger.close(1001.0)) == 11


def test_a_gap_is_one_interval_and_is_not_spread():
    ledger, replica = Ledger(), CountingReplica()
    ledger.receive(replica.report(1000.7), 1000.7)
    replica.serve(90)
    ledger.receive(replica.report(1010.7), 1010.7)

    closed = seconds(ledger.close(1011.0))

    window = closed[-1].windows[0]
    assert (window.start, window.end, window.counts.total_requests) == (1001, 1011, 90)


def test_a_gap_over_the_turn_of_a_minute_stays_from_to_in_the_minutes_too():
    ledger, replica = Ledger(), CountingReplica(booted_at=1010.0)
    ledger.receive(replica.report(1010.7), 1010.7)
    replica.serve(90)
    ledger.receive(replica.report(1030.7), 1030.7)

    before, after = checkpoints(ledger.close(1080.0))

    assert [(w.start, w.end) for w in before.windows] == [(960, 1020)]
    spans = {(w.start, w.end): w.counts.total_requests for w in after.windows}
    assert spans == {(1011, 1031): 90}


def test_a_minute_is_closed_with_the_marks_that_it_was_measured_to():
    ledger, replica = Ledger(), CountingReplica(booted_at=1020.0)
    for second in range(1020, 1080):
        replica.serve(2)
        ledger.receive(replica.report(second + 0.7), second + 0.7)

    closed = ledger.close(1080.0)

    (checkpoint,) = checkpoints(closed)
    assert closed[-1] is checkpoint
    assert [(w.start, w.end) for w in checkpoint.windows] == [(1020, 1080)]
    assert requests([checkpoint]) == 120
    assert checkpoint.marks[0].counts.total_requests == 120


def test_a_checkpoint_never_includes_what_comes_after_it():
    ledger, replica = Ledger(), CountingReplica(booted_at=1079.0)
    for second in (1079, 1080, 1081):
        replica.serve(1)
        ledger.receive(replica.report(second + 0.5), second + 0.5)

    closed = ledger.close(1082.0)

    kinds = [type(each).__name__ for each in closed]
    assert kinds == ["Second", "Checkpoint", "Second", "Second"]
    assert closed[1].marks[0].counts.total_requests == 1


def test_a_report_that_shrank_is_not_believed():
    ledger, replica = Ledger(), CountingReplica()
    replica.serve(5)
    ledger.receive(replica.report(1000.5), 1000.5)
    replica.ok = 3
    ledger.receive(replica.report(1000.6), 1000.6)
    replica.ok = 6
    ledger.receive(replica.report(1000.7), 1000.7)

    assert requests(ledger.close(1001.0)) == 6
    assert ledger.contradictions == 1


def test_a_clock_that_is_set_back_does_not_turn_time_around():
    ledger, replica = Ledger(), CountingReplica()
    ledger.receive(replica.report(1000.7), 1000.7)
    replica.serve(3)
    ledger.receive(replica.report(900.0), 900.0)

    (second,) = seconds(ledger.close(1001.0))

    assert all(w.start < w.end for w in second.windows)
    assert requests([second]) == 3


def test_while_storing_is_stuck_only_the_newest_report_of_each_boot_is_kept():
    ledger, replica = Ledger(), CountingReplica(booted_at=1000.0)
    for second in range(1000, 1300):
        replica.serve(1)
        ledger.receive(replica.report(second + 0.7), second + 0.7)
        ledger.compact()

    assert ledger.waiting == 1
    assert requests(seconds(ledger.close(1300.0))) == 300


def test_what_was_journalled_is_settled_once():
    ledger, replica = Ledger(), CountingReplica()
    journal = []
    for second in (1000, 1001):
        replica.serve(5)
        ledger.receive(replica.report(second + 0.7), second + 0.7)
    for each in seconds(ledger.close(1002.0)):
        journal += each.entries

    (checkpoint,) = settle([], journal)
    assert requests([checkpoint]) == 10
    assert settle(checkpoint.marks, journal) == []

    after = Ledger(checkpoint.marks)
    replica.serve(1)
    after.receive(replica.report(1002.7), 1002.7)
    assert requests(seconds(after.close(1003.0))) == 1


def test_a_replica_that_was_silent_for_long_is_not_forgotten_while_it_may_come_back():
    ledger, replica = Ledger(), CountingReplica()
    replica.serve(5)
    ledger.receive(replica.report(1000.7), 1000.7)
    ledger.close(1060.0)

    ledger.forget(keep={"rep_A"}, before=90000.0)
    replica.serve(1)
    ledger.receive(replica.report(90000.5), 90000.5)

    assert requests(seconds(ledger.close(90001.0))) == 1


def test_marks_of_ended_replicas_are_forgotten_without_losing_their_minute():
    ledger, replica = Ledger(), CountingReplica()
    replica.serve(5)
    ledger.receive(replica.report(1000.7), 1000.7)
    ledger.close(1001.0)

    ledger.forget(keep=(), before=2000.0)

    (checkpoint,) = ledger.checkpoint()
    assert requests([checkpoint]) == 5
    assert checkpoint.marks == ()
