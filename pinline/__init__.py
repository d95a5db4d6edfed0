"""What every part of the pipeline shares: settings, the event contract, clients, errors and the command line."""
