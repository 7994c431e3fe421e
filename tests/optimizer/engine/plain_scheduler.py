"""The rules of vLLM V1 written down as plainly as they can be read, one request and block at a
time; shares no code with the engine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Request:
    number: int
    arrival: float
    prompt: int
    output: int
    priority: int
    content: tuple[tuple[int, int], ...]  # (key, end) of segments
    emitted: int = 0
    computed: int = 0
    preemptions: int = 0
    blocks: list[int] = field(default_factory=list)
    cached: int = 0
    generation: bool = False

    @property
    def known(self) -> int:
        return self.prompt + self.emitted

    def hash_of(self, place: int, size: int, part: int = 0) -> tuple[int, int, int]:
        """Of a block, or of its first tokens."""
        last = place * size + (part or size) - 1
        for key, end in self.content[:-1]:
            if end > last:
                return key, place, part
        return self.content[-1][0], place, part


class PlainScheduler:
    def __init__(self, config, base, per_decode, per_prompt, per_kv):
        self.c = config
        self.law = base, per_decode, per_prompt, per_kv
        self.free = list(range(1, config.num_blocks))
        self.references = dict.fromkeys(range(config.num_blocks), 0)
        self.hash = {}
        self.cache = {}
        self.waiting = []
        self.running = []
        self.now = 0.0
        self.iterations = []
        self.tokens = []
        self.finished = []

    def run(self, requests):
        coming = sorted(requests, key=lambda r: (r.arrival, r.number))
        while coming or self.waiting or self.running:
            if not self.waiting and not self.running:
                self.now = max(self.now, coming[0].arrival)
            while coming and coming[0].arrival <= self.now:
                self.add(coming.pop(0))
            self.step()

    def add(self, request):
        self.waiting.append(request)
        if self.by_priority:
            self.waiting.sort(key=lambda r: (r.priority, r.arrival, r.number))

    @property
    def by_priority(self):
        return self.c.policy == 1

    def step(self):
        size, c = self.c.block_size, self.c
        budget = c.max_num_batched_tokens
        scheduled = {}
        preempted = False
        index = 0
        while index < len(self.running) and budget > 0:
            request = self.running[index]
            need = self.limited(request.known - request.computed)
            need = min(need, budget)
            fits = True
            while True:
                total = -(-(request.computed + need) // size)
                if total - len(request.blocks) <= len(self.free):
                    break
                if self.by_priority:
                    loser = max(self.running, key=lambda r: (r.priority, r.arrival))
                else:
                    loser = self.running[-1]
                if loser.number in scheduled:
                    budget += scheduled.pop(loser.number)
                    index -= 1
                self.running.remove(loser)
                self.preempt(loser)
                preempted = True
                if loser is request:
                    fits = False
                    break
            if not fits:
                break
            self.allocate(request, need)
            scheduled[request.number] = need
            budget -= need
            index += 1
        decoding = {r.number for r in self.running if r.generation}
        if not preempted:
            while self.waiting and budget > 0 and len(self.running) < c.max_num_seqs:
                request = self.waiting[0]
                hits = self.hits(request)
                watermark = int(c.watermark * c.num_blocks) if scheduled else 0
                source, part = self.part(request, hits, watermark)
                need = self.limited(request.known - len(hits) * size - part)
                if not c.chunked_prefill and need > budget:
                    break
                need = min(need, budget)
                idle = sum(self.references[b] == 0 for b in [*hits, *source])
                chunk = -(-(len(hits) * size + part + need) // size)
                whole = -(-request.known // size) if c.reserve_full_isl else chunk
                if max(chunk, whole) - len(hits) + idle + watermark > len(self.free):
                    break
                for block in [*hits, *source]:
                    if self.references[block] == 0:
                        self.free.remove(block)
                    self.references[block] += 1
                request.blocks = list(hits)
                request.computed = len(hits) * size + part
                request.cached = len(hits)
                self.allocate(request, need, source)
                self.waiting.pop(0)
                self.running.append(request)
                scheduled[request.number] = need
                budget -= need
        if scheduled:  # else whoever was first preempted itself, and all is tried again at once
            self.finish_step(scheduled, decoding)

    def limited(self, need):
        most = self.c.long_prefill_token_threshold
        others = len(self.running) + len(self.waiting) > 1
        return most if others and 0 < most < need else need

    def hits(self, request):
        found = []
        if not self.c.prefix_caching:
            return found
        for place in range((request.known - 1) // self.c.block_size):
            blocks = self.cache.get(request.hash_of(place, self.c.block_size))
            if not blocks:
                break
            found.append(blocks[0])
        return found

    def part(self, request, hits, watermark):
        """The block that holds the most tokens after the prefix, and how many."""
        size, unit = self.c.block_size, self.unit
        for part in range(size - 1, 0, -1):
            if part % unit or len(hits) * size + part > request.known - 1:
                continue
            blocks = self.cache.get(request.hash_of(len(hits), size, part))
            if blocks and self.c.prefix_caching:
                idle = sum(self.references[b] == 0 for b in hits)
                room = len(self.free) - idle - watermark - (-(-request.known // size) - len(hits))
                if self.references[blocks[0]] == 0 and room < 1:
                    break
                return blocks[:1], part
        return [], 0

    @property
    def unit(self):
        return self.c.prefix_match_unit or self.c.block_size

    def allocate(self, request, need, source=()):
        size = self.c.block_size
        while len(request.blocks) * size < request.computed + need:
            block = self.free.pop(0)
            if block in self.hash:
                twins = self.cache[self.hash.pop(block)]
                twins.remove(block)
            self.references[block] = 1
            request.blocks.append(block)
        for block in source:
            self.references[block] -= 1
            if self.references[block] == 0:
                self.free.append(block)
        request.computed += need
        if self.c.prefix_caching:
            tokens = min(request.computed, request.known)
            for place in range(request.cached, tokens // size):
                self.remember(request.blocks[place], request.hash_of(place, size))
                request.cached = place + 1
            part = tokens % size // self.unit * self.unit
            if part > 0:
                place = tokens // size
                self.remember(request.blocks[place], request.hash_of(place, size, part))

    def remember(self, block, key):
        if self.hash.get(block) == key:
            return
        if block in self.hash:
            self.cache[self.hash[block]].remove(block)
        self.hash[block] = key
        self.cache.setdefault(key, []).append(block)

    def give_back(self, request):
        with_hash, without = [], []
        for block in reversed(request.blocks):
            self.references[block] -= 1
            if self.references[block] == 0:
                (with_hash if block in self.hash else without).append(block)
        self.free = without + self.free + with_hash
        request.blocks = []
        request.cached = 0

    def preempt(self, request):
        self.give_back(request)
        request.computed = 0
        request.preemptions += 1
        request.generation = False
        if self.by_priority:
            self.add(request)
        else:
            self.waiting.insert(0, request)

    def finish_step(self, scheduled, decoding):
        base, per_decode, per_prompt, per_kv = self.law
        decode = sum(n for r, n in scheduled.items() if r in decoding)
        prompt = sum(n for r, n in scheduled.items() if r not in decoding)
        kv = sum(min(r.computed, r.known) for r in self.running)
        end = self.now + (base + per_decode * decode + per_prompt * prompt + per_kv * kv)
        order = [(r.number, scheduled[r.number]) for r in self.running if r.number in scheduled]
        tables = {r.number: tuple(r.blocks) for r in self.running}
        self.iterations.append((self.now, end, tuple(order), tables))
        self.now = end
        for request in list(self.running):
            if request.number not in scheduled or request.computed < request.known:
                continue
            request.emitted += 1
            request.generation = True
            self.tokens.append((end, request.number))
            if request.emitted == request.output:
                self.running.remove(request)
                self.give_back(request)
                self.finished.append((end, request.number, request.preemptions))
