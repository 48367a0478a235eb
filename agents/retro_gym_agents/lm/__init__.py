"""The trainable language model: loading, adapters, sampling and scoring. It knows nothing of episodes."""
