"""The webhook service: verifies what vendors post, keeps it durably, answers, and has it worked on afterwards."""
