"""Post events to Kafka through the API, as users would: `python emulator/user_posting_emulation.py --help`."""

from emulator.command import Mode, emulation

app = emulation(Mode.batch)

if __name__ == "__main__":
    app()
