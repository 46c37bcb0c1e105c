"""The connection: HTTP, delivery, the middleware. Knows no OpenAI and no journal."""
