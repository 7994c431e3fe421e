"""Other people's tools beside ours; the product never imports any of this."""
