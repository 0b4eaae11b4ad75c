"""lrcore schedules inside the frameworks: one module a framework, each needs only its own."""
