"""Shops that want to break the crawler: a crawl ends, says what was wrong, loses nothing and harms no other shop."""

from app.wiring import Stores
from tests.crawler import hostile
from tests.crawler.hostile import drip, endless, give, hang_up, redirect
from tests.crawler.ordeal import HASTE_S, at_peace


def bad(*names: str) -> tuple[str, ...]:
    return tuple(f"bad-{name}" for name in names)


def test_slow_answers_are_left_when_their_time_is_up(stores: Stores) -> None:
    slow = {"body": drip(), "headers": hostile.DRIPPING_HEADERS, "chunks": hostile.DRIPPING_CHUNKS,
            "gzip": hostile.DRIPPING_GZIP, "gzips": hostile.EMPTY_GZIPS}
    with at_peace(stores, bad("fine", *slow)) as ordeal:
        ordeal.misbehave(**slow)
        report = ordeal.crawl(total_timeout_s=HASTE_S)
        ordeal.expect(fine="done", **dict.fromkeys(slow, "failed: time was up"))
        assert (report.stopped, report.counters["failed"], report.counters["same"]) == ("", len(slow), 1)
        ordeal.nothing_is_lost()


def test_a_photo_that_drips_is_kept_as_it_was(stores: Stores) -> None:
    with at_peace(stores) as ordeal:
        ordeal.bad.trouble["/i/bad-0*"] = hostile.DRIPPING_HEADERS
        ordeal.bad.trouble["/i/bad-1*"] = drip()
        ordeal.bad.trouble["/i/bad-2*"] = hostile.DRIPPING_CHUNKS
        report = ordeal.crawl(total_timeout_s=HASTE_S)
        assert (report.counters["same"], report.counters["photos_failed"]) == (6, 3)
        assert "time was up" in str(report.failures)
        ordeal.nothing_is_lost()


def test_redirects_that_loop_or_leave_are_refused(stores: Stores) -> None:
    private = {"ten": "http://10.0.0.1/", "cloud": "http://169.254.169.254/latest/meta-data/", "six": "http://[::1]/",
               "mapped": "http://[::ffff:127.0.0.1]/", "decimal": "http://2130706433/", "octal": "http://0177.0.0.1/",
               "hex": "http://0x7f000001/", "nothing": "http://0.0.0.0/", "name": "http://localhost/",
               "nat": "http://[64:ff9b::a00:1]/"}
    odd = {"file": "file:///etc/passwd", "gopher": "gopher://127.0.0.1:70/", "password": "https://me:you@shoes.example/",
           "port": "http://127.0.0.1:99999/", "script": "javascript:alert(1)"}
    with at_peace(stores, bad("loop", "pair", "ever", *private, *odd)) as ordeal:
        ordeal.misbehave(loop=redirect("/p/bad-loop"), pair=redirect("/pair"), ever=redirect("/ever/1"))
        ordeal.misbehave(**{name: redirect(to) for name, to in (private | odd).items()})
        ordeal.bad.trouble["/pair"] = redirect("/p/bad-pair")
        ordeal.bad.trouble["/ever/*"] = lambda handler: redirect(handler.path + "1")(handler)
        report = ordeal.crawl()
        ordeal.expect(loop="failed: more than 5 redirects", pair="failed: more than 5 redirects",
                      ever="failed: more than 5 redirects", **dict.fromkeys(private, "forbidden: not public"),
                      **dict.fromkeys(odd, "forbidden: "))
        assert report.counters["forbidden"] == len(private | odd)
        ordeal.nothing_is_lost()


def test_photos_are_not_fetched_from_private_addresses(stores: Stores) -> None:
    with at_peace(stores) as ordeal:
        page = ordeal.bad.page("bad-0").decode().replace("/i/bad-0-0.jpg", "http://169.254.169.254/latest.jpg")
        ordeal.misbehave(**{"0": give(page)})
        ordeal.bad.trouble["/i/bad-1*"] = redirect("http://10.0.0.1/x.jpg")
        report = ordeal.crawl()
        assert report.counters["photos_failed"] == 2 and report.complete
        assert "169.254.169.254" in str(report.failures) and "10.0.0.1" in str(report.failures)


def test_answers_without_end_are_cut_off(stores: Stores) -> None:
    with at_peace(stores, bad("page", "lost", "packed", "photo")) as ordeal:
        ordeal.misbehave(page=endless(), lost=endless(status=404), packed=hostile.bomb(hostile.HTML))
        ordeal.bad.trouble["/i/bad-photo*"] = endless("image/jpeg", hostile.picture("a"))
        report = ordeal.crawl()
        # The beginning of a 404 says enough, whatever follows it.
        ordeal.expect(page="failed: larger than 500,000 bytes", packed="failed: larger than 500,000 bytes", lost="gone",
                      photo="done: larger than 600,000 bytes")
        assert report.counters["photos_failed"] == 1


def test_a_shop_that_dies_half_way_loses_nothing(stores: Stores) -> None:
    with at_peace(stores, bad(*"abcdefghijklmnop")) as ordeal:
        ordeal.misbehave(**dict.fromkeys("efghijklmnop", hang_up))
        report = ordeal.crawl(max_errors=5)
        assert report.stopped == "5 addresses in a row could not be had" and not report.complete
        assert report.counters["failed"] == 5
        ordeal.nothing_is_lost()
        ordeal.bad.trouble.clear()
        again = ordeal.crawl()
        # The crawl went on; the five that failed in it wait for the next.
        assert (again.run_id, again.counters["same"], again.counters["failed"]) == (report.run_id, 11, 5)
        assert ordeal.crawl().counters["same"] == 16
        ordeal.nothing_is_lost()
