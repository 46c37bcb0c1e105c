"""The open internet: which addresses may be asked, and how bytes are fetched from them."""
