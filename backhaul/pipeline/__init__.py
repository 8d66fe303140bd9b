"""What happens between the vendors and the store. Knows both; knows nothing of Prefect."""
