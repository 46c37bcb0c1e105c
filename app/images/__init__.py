"""Images as bytes: reading headers, fitting, masks, conversion, fetching."""
