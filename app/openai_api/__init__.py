"""The wire format of the OpenAI Images API, without any framework."""
