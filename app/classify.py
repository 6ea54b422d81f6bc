"""Classifying photos with live tasks: `GET /tasks`, `POST /classify/NAME`, `POST /classify?tasks=…`, their answers."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from app.live_tasks import LiveTask, LiveTasks
from app.timings import ms_between, of_request
from app.uploads import MOST_BODIES, MOST_PHOTOS, Upload, prepared, read_form
from catalogue.errors import NothingLive

PHOTOS_FORM = {"requestBody": {"required": True, "description": (
    f"One photo as the raw body, or up to {MOST_PHOTOS} as files of a multipart form; all together may be "
    f"{MOST_BODIES} times as large as the largest one allowed."), "content": {
    "multipart/form-data": {"schema": {"type": "object", "required": ["photo"], "properties": {
        "photo": {"type": "array", "items": {"type": "string", "format": "binary"}}}}},
    "image/*": {"schema": {"type": "string", "format": "binary"}}}}}
Top = Annotated[int, Query(ge=1, le=1000, description="How many classes are named, the most probable first")]


class TaskAnswer(BaseModel):
    """One live task."""

    name: str
    about: str
    classes: list[str]
    measures: dict[str, Any] = Field(description="What was measured on photos that training never saw")
    release: str
    guard: dict[str, Any] | None = Field(description="The class that means a shoe, for `shoe` of POST /identify")
    filled: str | None = Field(description="The class that means a filled place, for POST /stock")


class TasksAnswer(BaseModel):
    """The live tasks."""

    tasks: list[TaskAnswer]


class LabelAnswer(BaseModel):
    """A class with its calibrated probability."""

    name: str
    probability: float


class PhotoClasses(BaseModel):
    """What a task says of one photo."""

    photo: str = Field(description="The file's name as it was sent")
    classes: list[LabelAnswer] = Field(description="Most probable first")


class ClassifyAnswer(BaseModel):
    """What one task says of each photo, in the order they were sent."""

    task: str
    release: str
    photos: list[PhotoClasses]
    timings_ms: dict[str, float]


class ClassifyTasksAnswer(BaseModel):
    """What several tasks say of each photo."""

    tasks: list[ClassifyAnswer]
    timings_ms: dict[str, float]


def add_tasks(api: FastAPI, tasks: LiveTasks, limit: int) -> None:
    """Add the routes; `limit` is the largest photo in bytes."""
    @api.get("/tasks")
    def listed() -> TasksAnswer:
        """The live tasks with their classes and measures."""
        return TasksAnswer(tasks=[task_answer(task) for task in tasks.current().values()])

    @api.post("/classify/{name}", openapi_extra=PHOTOS_FORM)
    async def one(request: Request, name: str, top: Top = 5) -> ClassifyAnswer:
        """Classify one or many photos with one live task."""
        began = time.perf_counter()
        task = tasks.named(name)
        form = await read_form(request, limit)
        received = time.perf_counter()
        answer = (await run_in_threadpool(classify, [task], form.photos, top)).tasks[0]
        answer.timings_ms |= of_request(began, received)
        return answer

    @api.post("/classify", openapi_extra=PHOTOS_FORM)
    async def several(request: Request, tasks_: Annotated[str, Query(
            alias="tasks", description="Names with commas between; without it all live tasks")] = "",
            top: Top = 5) -> ClassifyTasksAnswer:
        """Classify one or many photos with several live tasks; each photo is decoded once."""
        began = time.perf_counter()
        names = list(dict.fromkeys(name.strip() for name in tasks_.split(",") if name.strip()))
        chosen = [tasks.named(name) for name in names] or list(tasks.current().values())
        if not chosen:
            raise NothingLive(tasks.problem or "no task is live yet; train one with `solesearch task train NAME`, then "
                              "`solesearch promote task:NAME`")
        form = await read_form(request, limit)
        received = time.perf_counter()
        answer = await run_in_threadpool(classify, chosen, form.photos, top)
        answer.timings_ms |= of_request(began, received)
        return answer


def task_answer(task: LiveTask) -> TaskAnswer:
    """One task as JSON shows it."""
    guard = task.guard
    return TaskAnswer(name=task.name, about=task.about, classes=list(task.classes), measures=dict(task.measures),
                      release=task.release.name, filled=task.filled,
                      guard={"class": guard.label, "threshold": guard.threshold} if guard else None)


def classify(tasks: Sequence[LiveTask], photos: Sequence[Upload], top: int) -> ClassifyTasksAnswer:
    """Say with each task what is in each photo: the route of service and command line alike. `BadPhoto` names the
    photo that cannot be read."""
    began = time.perf_counter()
    pixels = prepared({task.embedder.card.preprocessing for task in tasks}, photos)
    timings = {"decode": ms_between(began)}
    answers = []
    for task in tasks:
        began = time.perf_counter()
        found = task.probabilities(pixels[task.embedder.card.preprocessing])
        answers.append(ClassifyAnswer(task=task.name, release=task.release.name, photos=[
            PhotoClasses(photo=photo.name, classes=top_classes(task, row, top))
            for photo, row in zip(photos, found, strict=True)], timings_ms={**timings, "classify": ms_between(began)}))
    timings["classify"] = round(sum(answer.timings_ms["classify"] for answer in answers), 3)
    return ClassifyTasksAnswer(tasks=answers, timings_ms=timings)


def top_classes(task: LiveTask, probabilities: np.ndarray, top: int) -> list[LabelAnswer]:
    """The most probable classes of one photo's probabilities (c,); equal ones in the task's order."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [LabelAnswer(name=task.classes[at], probability=round(float(probabilities[at]), 6)) for at in order]
