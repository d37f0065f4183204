"""Results as pictures; nothing else imports matplotlib."""
