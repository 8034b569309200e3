"""What a Core ML model will meet: published hazards as rules, looked for without running it."""
