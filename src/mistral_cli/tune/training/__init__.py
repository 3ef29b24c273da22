"""How an adapter is trained by transformers, peft and accelerate; called by ``tune.train`` alone."""
