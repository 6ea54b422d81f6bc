"""When a crawl is due: a cron expression or an interval, and the moment of the last one."""

import re
from datetime import datetime, timedelta

from croniter import CroniterBadDateError, croniter

from catalogue.errors import BadInput

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_INTERVAL = re.compile(r"(\d{1,4})\s*([mhdw])")


def check_schedule(schedule: str) -> str:
    """The schedule itself if it can be used; `BadInput` says how one is written."""
    if not schedule or _interval(schedule):
        return schedule
    if not croniter.is_valid(schedule):
        raise BadInput(f"{schedule!r} is no schedule; write a cron expression ('30 3 * * *', in local time) or an "
                       "interval like '6h', '45m' or '2d'")
    try:
        croniter(schedule).get_next()
    except CroniterBadDateError as error:
        raise BadInput(f"the schedule {schedule!r} names no day that ever comes; write one that does") from error
    return schedule


def next_time(schedule: str, last: datetime | None, since: datetime) -> datetime:
    """When the next run is due: an interval after the last one (at once without one), or the cron expression's first
    moment after it (after `since` without one). Runs that were missed while nobody looked come to one, at once.
    """
    interval = _interval(check_schedule(schedule))
    if interval:
        return since if last is None else last + interval
    # Cron expressions mean the clock on the wall.
    return croniter(schedule, (last or since).astimezone()).get_next(datetime)


def _interval(schedule: str) -> timedelta | None:
    match = _INTERVAL.fullmatch(schedule.strip())
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match and int(match[1]) else None
