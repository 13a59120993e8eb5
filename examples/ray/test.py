"""Are streams what one undisturbed process makes, when replicas are killed, and come and go?

    python test.py FOLDER          of a converted demo model; test.sh makes the folder, and what is needed here
"""

import asyncio
import collections
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import time

# Nothing is sent, and nothing left behind: Ray reads these when it starts.
LEFT = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_TOKEN": secrets.token_hex(32)}

import aiohttp
import ray
from ray import serve
from tokenizers import Tokenizer

from app import Settings, build
from stream import Folder, Stream, beginning

STREAMS = 64
WORDS = """In the beginning God created the heaven and the earth . And the earth was without form , and void ; and darkness was
upon the face of the deep . And the Spirit of God moved upon the face of the waters .""".split()
FEW = {"min_replicas": 1, "max_replicas": 2, "target_ongoing_requests": STREAMS / 2, "metrics_interval_s": 0.5}
SOON = {"look_back_period_s": 1, "upscale_delay_s": 1, "downscale_delay_s": 1}


def requests(tokens):
    """Half greedy, half sampled with a seed; each its own prompt. `tokens`: of each stream."""
    prompts = [" ".join(WORDS[: 1 + i // 2]) for i in range(STREAMS)]
    how = [{"temperature": 0.9, "seed": i} if i % 2 else {} for i in range(STREAMS)]
    return [{"prompt": prompts[i], "max_tokens": tokens(i), **how[i]} for i in range(STREAMS)]


def alone(model, tokenizer, request):
    """The tokens that this process makes, without snapshots."""
    start = beginning(tokenizer.encode(request["prompt"]).ids, request.get("seed", 0))
    stream, made = Stream(model, start, request["max_tokens"], request.get("temperature", 0)), []
    while not stream.finish:
        made.append(stream.next())
    return made


async def ask(client, request, times):
    """The tokens of a stream, and in `times` when each came."""
    made, finish = [], None
    async with client.post("/generate", json=request) as answer:
        answer.raise_for_status()
        async for line in answer.content:
            piece = json.loads(line)
            assert "error" not in piece, piece
            times.append(time.monotonic())
            made.append(piece["token"])
            finish = piece.get("finish")
    assert finish in ("length", "stop"), finish
    return made


async def streams(client):
    async with client.get("/streams") as answer:
        return await answer.json()


async def until(true, what, seconds=120):
    """Waits for `true()`, and fails rather than for ever."""
    end = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.05)


async def all_of(client, asked, meanwhile):
    """All texts, and the times of their tokens, while `meanwhile(times)` does what it does."""
    times = [[] for _ in asked]
    clients = asyncio.gather(*(ask(client, request, when) for request, when in zip(asked, times)))
    done, _ = await asyncio.gather(clients, meanwhile(times))
    return done, times


def same(made, expected):
    wrong = [i for i in range(len(expected)) if made[i] != expected[i]]
    assert not wrong, f"streams {wrong} are not what one process makes"
    return f"{len(made)} texts, {sum(map(len, made))} tokens, all as of one undisturbed process"


async def killed(client, asked, expected, count):
    """`count` of two replicas end by SIGKILL when half of all tokens are there."""
    half, moved, at = sum(map(len, expected)) / 2, 0, 0

    async def kill(times):
        nonlocal moved, at

        async def halfway():
            return sum(map(len, times)) >= half

        await until(halfway, "half of the tokens")
        pids = [stream["pid"] for stream in await streams(client) if stream["pid"]]
        assert len(set(pids)) == 2, "both replicas have streams"
        victims = list(dict.fromkeys(pids))[:count]
        at, moved = time.monotonic(), sum(map(pids.count, victims))
        for victim in victims:
            os.kill(victim, signal.SIGKILL)

    start = time.monotonic()
    made, times = await all_of(client, asked, kill)
    took = time.monotonic() - start
    pauses = [(b - a, b < at) for when in times for a, b in zip(when, when[1:])]
    before = max(pause for pause, ended in pauses if ended)
    print(f"{count} of 2 killed: {same(made, expected)}")
    print(f"{count} of 2 killed: {moved} streams lost their replica; {took:.1f} s for all; ", end="")
    print(f"longest pause {max(pauses)[0]:.2f} s, before the kill {before:.2f} s", flush=True)


async def replicas():
    """How many there are, by what Ray says of them."""
    status = await asyncio.to_thread(serve.status)
    return status.applications["default"].deployments["Replica"].replica_states


async def scaled(client, asked, expected):
    """Ray adds a replica for many streams, and takes one away when few are left."""
    at, moves, counts = {}, collections.Counter(), [1]

    async def watch(times):
        async def done():
            states = await replicas()
            # One that is to go is drained, and then stopping.
            count = states.get("RUNNING", 0)
            if count != counts[-1]:
                counts.append(count)
            for stream in await streams(client):
                here = stream["replica"]
                moves[max(counts), count] += at.get(stream["stream"], here) not in (here, None)
                at[stream["stream"]] = here
            return sum(map(len, times)) == sum(map(len, expected))

        await until(done, "all texts", 600)

    made, times = await all_of(client, asked, watch)
    pause = max(b - a for when in times for a, b in zip(when, when[1:]))
    print(f"scaled: {same(made, expected)}")
    print(f"scaled: replicas {counts}; {moves[2, 2]} streams moved to the second, ", end="")
    print(f"{moves[2, 1]} away from the one that left; longest pause {pause:.2f} s", flush=True)
    assert counts[:3] == [1, 2, 1] and moves[2, 2] and moves[2, 1], "Ray scales up and down, and streams move with it"


def ended(model):
    """A text ends with the model's positions, and does not begin beyond them."""
    model.positions, all_positions = 5, model.positions
    stream, made = Stream(model, beginning([5, 6, 7], 0), 100, 0), 0
    while not stream.finish:
        stream.next()
        made += 1
    assert (stream.finish, made) == ("reach", 2), (stream.finish, made)
    try:
        Stream(model, beginning([5, 6, 7, 8, 9], 0), 100, 0)
        raise AssertionError("a prompt that leaves no room is taken")
    except ValueError as error:
        print("refused:", error)
    model.positions = all_positions


async def refused(client):
    """What is wrong is said, and who leaves is forgotten."""
    for wrong in ({"prompt": []}, {"prompt": [10**9]}, {"prompt": [-1]}):
        async with client.post("/generate", json=wrong) as answer:
            assert answer.status == 400, (wrong, answer.status)
    for wrong in ({}, {"prompt": "a", "max_tokens": 0}, {"prompt": "a", "temperature": -1}, {"prompt": "a", "top_q": 1}):
        async with client.post("/generate", json=wrong) as answer:
            assert answer.status == 422, (wrong, answer.status)
    async with client.post("/generate", json={"prompt": "In the beginning", "max_tokens": 10**6}) as answer:
        await answer.content.readline()

    async def forgotten():
        return not await streams(client)

    await until(forgotten, "a stream whose client has left ends")
    print("refused: requests that are wrong; a stream ends with its client", flush=True)


async def test(folder):
    model, tokenizer = Folder(folder), Tokenizer.from_file(f"{folder}/tokenizer.json")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}", flush=True)
    ended(model)
    short = requests(lambda i: 200)
    long = requests(lambda i: 300 if i % 8 else 2000)
    start = time.monotonic()
    expected = [[alone(model, tokenizer, request) for request in asked] for asked in (short, long)]
    print(f"alone: {sum(len(made) for texts in expected for made in texts)} tokens, {time.monotonic() - start:.1f} s", flush=True)
    # More CPUs than there may be, so that the application has one beside the replicas.
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, _temp_dir=LEFT.name)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    try:
        limits = {"connector": aiohttp.TCPConnector(limit=0), "timeout": aiohttp.ClientTimeout(total=900)}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", **limits) as client:
            serve.run(build(Settings(model=folder, replicas={"num_replicas": 2})))
            await refused(client)
            await killed(client, short, expected[0], 1)

            async def two():
                return await replicas() == {"RUNNING": 2}

            await until(two, "Ray starts another replica")
            await killed(client, short, expected[0], 2)
            serve.delete("default")
            serve.run(build(Settings(model=folder, replicas={"autoscaling_config": FEW | SOON})))
            await scaled(client, long, expected[1])
    finally:
        serve.shutdown()
        ray.shutdown()
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}")


if __name__ == "__main__":
    asyncio.run(test(os.path.abspath(sys.argv[1])))
