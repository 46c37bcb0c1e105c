"""The containers of images, byte by byte: what each says of itself, and which of its parts decoding needs. Pure."""
