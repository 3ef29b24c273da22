"""Fine-tuning: data becomes samples, samples become an adapter."""
