"""A small server with Triton's gRPC protocol over onnxruntime, for one model of a repository.

It does what Triton's documents say of its sequence batchers, for the fields that `longconv-ssm deploy triton` writes:
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html
- implicit state: an input that the client does not send, taken from the output of the sequence's last request; the
  initial state at sequence_start; dropped at sequence_end
- direct: a sequence keeps its slot, a row of the batch; rows between without a request are filled and thrown away
- oldest: requests of waiting sequences are batched, oldest first, one of each sequence
- dynamic batching without sequences
Only requests of equal shapes go into one batch, at most max_batch_size rows.
"""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import onnxruntime as ort
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype


def read_config(folder):
    return text_format.Parse((Path(folder) / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


class Request:
    def __init__(self, message):
        parameters = {name: getattr(p, p.WhichOneof("parameter_choice")) for name, p in message.parameters.items()}
        self.sequence = parameters.get("sequence_id", 0)
        self.start = parameters.get("sequence_start", False)
        self.end = parameters.get("sequence_end", False)
        self.inputs = {
            value.name: np.frombuffer(raw, triton_to_np_dtype(value.datatype)).reshape(list(value.shape))
            for value, raw in zip(message.inputs, message.raw_input_contents)
        }
        self.result = Future()

    def shapes(self):
        return {name: array.shape[1:] for name, array in self.inputs.items()}


class Batcher:
    """Takes requests from any thread; one thread of its own makes batches and runs them."""

    def __init__(self, folder):
        self.config = read_config(folder)
        self.session = ort.InferenceSession(str(Path(folder) / "1" / "model.onnx"), providers=["CPUExecutionProvider"])
        batching = self.config.sequence_batching
        self.states = batching.state
        self.direct = batching.WhichOneof("strategy_choice") == "direct"
        self.implicit = self.config.WhichOneof("scheduling_choice") == "sequence_batching"
        self.limit = self.config.max_batch_size if self.direct else batching.oldest.max_candidate_sequences
        delays = batching.direct if self.direct else batching.oldest if self.implicit else self.config.dynamic_batching
        self.delay = delays.max_queue_delay_microseconds / 1e6
        self.known = {}  # sequence -> (slot, states by input name)
        self.pending = []
        self.changed = threading.Condition()
        self.batches = []  # rows with a request in each batch
        threading.Thread(target=self.loop, daemon=True).start()

    def submit(self, request):
        with self.changed:
            self.pending.append(request)
            self.changed.notify()
        return request.result.result()

    def loop(self):
        while True:
            with self.changed:
                while not (batch := self.choose()):
                    self.changed.wait()
            time.sleep(self.delay)
            with self.changed:
                batch = self.choose()
                self.pending = [request for request in self.pending if request not in batch]
            try:
                self.run(batch)
            except Exception as error:  # the client must hear of it
                for request in batch:
                    request.result.set_exception(error)

    def choose(self):
        """Requests of equal shapes, the oldest first, one of each sequence; new sequences as far as there is room."""
        batch = []
        for request in self.pending:
            if len(batch) == self.config.max_batch_size:
                break
            if batch and request.shapes() != batch[0].shapes():
                continue
            if self.implicit and not self.admit(request, batch):
                continue
            batch.append(request)
        return batch

    def admit(self, request, batch):
        if any(other.sequence == request.sequence for other in batch):
            return False
        if request.sequence not in self.known:
            if not request.start:
                raise ValueError(f"sequence {request.sequence} was not started")
            taken = {slot for slot, _ in self.known.values()}
            free = [slot for slot in range(self.limit) if slot not in taken]
            if not free:
                return False
            self.known[request.sequence] = (free[0], None)
        return True

    def initial(self, state):
        dtype = triton_to_np_dtype(model_config_pb2.DataType.Name(state.data_type).removeprefix("TYPE_"))
        assert state.initial_state[0].zero_data, "only zeros are known here"
        return np.zeros([1, *state.initial_state[0].dims], dtype)

    def run(self, batch):
        # A row for each request; with direct, up to the last slot that has one.
        rows = {self.known[request.sequence][0]: request for request in batch} if self.direct else dict(enumerate(batch))
        size = max(rows) + 1
        feeds = {}
        for name, array in batch[0].inputs.items():
            filler = np.zeros_like(array)
            feeds[name] = np.concatenate([rows[row].inputs[name] if row in rows else filler for row in range(size)])
        for state in self.states:
            parts = []
            for row in range(size):
                request = rows.get(row)
                kept = None if request is None or request.start else self.known[request.sequence][1]
                parts.append(self.initial(state) if kept is None else kept[state.input_name])
            feeds[state.input_name] = np.concatenate(parts)
        names = [value.name for value in self.session.get_outputs()]
        results = dict(zip(names, self.session.run(names, feeds)))
        self.batches.append(len(rows))
        with self.changed:
            for row, request in rows.items():
                if self.implicit and request.end:
                    del self.known[request.sequence]
                elif self.implicit:
                    states = {s.input_name: results[s.output_name][row : row + 1] for s in self.states}
                    self.known[request.sequence] = (self.known[request.sequence][0], states)
                outputs = [output.name for output in self.config.output]
                request.result.set_result({name: results[name][row : row + 1] for name in outputs})


class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, batcher):
        self.batcher = batcher

    def ModelInfer(self, message, context):
        reply = service_pb2.ModelInferResponse(model_name=message.model_name, model_version="1")
        for name, array in self.batcher.submit(Request(message)).items():
            reply.outputs.add(name=name, datatype=np_to_triton_dtype(array.dtype), shape=list(array.shape))
            reply.raw_output_contents.append(np.ascontiguousarray(array).tobytes())
        return reply


def serve(batcher):
    """The server and its address."""
    server = grpc.server(ThreadPoolExecutor(32))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(batcher), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"
