"""The trainable language model: loading, adapters, sampling and scoring, independent of episodes."""
