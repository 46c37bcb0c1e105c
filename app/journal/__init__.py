"""What was asked, bought and delivered: durable before anything is sent."""
