"""Ray Serve in front of replicas that drive a converted model; a stream of text outlives the replica that makes it.

    serve run app:build model=/models/demo

A stream is one call to one replica, for TURN tokens; the next call goes to the same replica, by Ray's consistent hashing
of the stream's id, as long as it is there. With every EVERY-th token comes the stream's snapshot. Where a replica dies, or
leaves when Ray scales, the next call takes the last snapshot elsewhere.
"""

import asyncio
import json
import os
import pathlib
import random
import uuid
from concurrent.futures import ThreadPoolExecutor

import fastapi
import pydantic
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import RayServeException
from starlette.responses import StreamingResponse
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from stream import Folder, Stream, beginning

TURN = 128
EVERY = 16
# Where so many replicas die in a row before the stream's next token, the stream is what kills them.
MOST_LOST = 5

api = fastapi.FastAPI()
STICKY = serve.config.RequestRouterConfig(
    request_router_class="ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
)


# Ray scales by streams: one is one ongoing request.
@serve.deployment(max_ongoing_requests=256, request_router_config=STICKY, ray_actor_options={"num_cpus": 1})
class Replica:
    """Makes tokens, and keeps nothing between calls."""

    def __init__(self, model):
        self.model = Folder(model)
        self.name = serve.get_replica_context().replica_id.unique_id
        # Its streams take turns, a token each.
        self.thread = ThreadPoolExecutor(1)

    async def go_on(self, snapshot, max_tokens, temperature):
        """Pieces of a stream from its snapshot on: at most TURN, and the last has a snapshot unless it says `finish`."""
        run = asyncio.get_running_loop().run_in_executor
        stream = Stream(self.model, snapshot, max_tokens, temperature)
        for made in range(1, TURN + 1):
            piece = {"at": stream.made, "token": await run(self.thread, stream.next), "finish": stream.finish}
            due = made % EVERY == 0 and not stream.finish
            yield piece | {"snapshot": stream.snapshot() if due else None, "replica": self.name, "pid": os.getpid()}
            if stream.finish:
                return


class Asked(pydantic.BaseModel, extra="forbid"):
    prompt: str | list[int]
    max_tokens: int = pydantic.Field(64, ge=1)
    temperature: float = pydantic.Field(0, ge=0, allow_inf_nan=False)
    seed: int | None = pydantic.Field(None, ge=0)


@serve.deployment(max_ongoing_requests=4096)
@serve.ingress(api)
class Application:
    """Takes requests, keeps each stream's last snapshot, and gives the text."""

    def __init__(self, replicas, model):
        self.replicas = replicas
        self.tokenizer = Tokenizer.from_file(str(pathlib.Path(model) / "tokenizer.json"))
        self.streams = {}

    @api.post("/generate")
    async def generate(self, asked: Asked):
        """Lines of JSON: `token` and its `text`, `finish` in the last; or `error`."""
        ids = asked.prompt if isinstance(asked.prompt, list) else self.tokenizer.encode(asked.prompt).ids
        if not ids or any(not 0 <= token < self.tokenizer.get_vocab_size() for token in ids):
            raise fastapi.HTTPException(400, "the prompt has no token, or one that the model does not have")
        return StreamingResponse(self.lines(ids, asked), media_type="application/x-ndjson")

    @api.get("/streams")
    async def where(self):
        """Each running stream: its replica and process, the tokens so far, and how often it has changed the replica."""
        return list(self.streams.values())

    async def lines(self, ids, asked):
        text = DecodeStream(ids=ids, skip_special_tokens=True)
        try:
            async for token, finish in self.tokens(ids, asked):
                line = {"token": token, "text": text.step(self.tokenizer, token) or ""}
                yield json.dumps(line | ({"finish": finish} if finish else {})) + "\n"
        except (RayError, RayServeException) as error:
            yield json.dumps({"error": str(getattr(error, "cause", None) or error)}) + "\n"

    async def tokens(self, ids, asked):
        """Each token once, whichever replica makes it, and why the text ends with the last."""
        name, made, lost = uuid.uuid4().hex, [], 0
        # A seed of our own where nobody gave one: what is made again must be the same.
        snapshot = beginning(ids, random.getrandbits(64) if asked.seed is None else asked.seed)
        here = self.streams[name] = {"stream": name, "replica": None, "pid": None, "tokens": 0, "moves": -1}
        try:
            while True:
                call = self.replicas.options(method_name="go_on", stream=True, session_id=name)
                pieces = call.remote(snapshot, asked.max_tokens, asked.temperature)
                try:
                    async for piece in pieces:
                        here["moves"] += piece["replica"] != here["replica"]
                        here |= {key: piece[key] for key in ("replica", "pid")}
                        snapshot = piece["snapshot"] or snapshot
                        if piece["at"] < len(made):
                            # Made again after the snapshot, and given already.
                            if piece["token"] != made[piece["at"]]:
                                raise RayError("a replica makes other tokens than the one before it")
                            continue
                        made.append(piece["token"])
                        here["tokens"], lost = len(made), 0
                        yield piece["token"], piece["finish"]
                        if piece["finish"]:
                            return
                except RayActorError:
                    lost += 1
                    if lost == MOST_LOST:
                        raise
                finally:
                    # Also where the client has left.
                    pieces.cancel()
        finally:
            del self.streams[name]


class Settings(pydantic.BaseModel, extra="forbid"):
    # The folder that longconv-ssm convert wrote.
    model: str
    # Options of Ray's for the replicas: how many there are.
    replicas: dict = {"autoscaling_config": {"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 32}}


def build(settings: Settings) -> serve.Application:
    return Application.bind(Replica.options(**settings.replicas).bind(settings.model), settings.model)
