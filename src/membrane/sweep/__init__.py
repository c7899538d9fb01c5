"""Many runs: jobs, processes, launchers, searches."""
