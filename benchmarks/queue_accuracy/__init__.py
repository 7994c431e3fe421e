"""How accurate the queue models are, judged by simulated continuous batching."""
