"""Post events to Kinesis through the API: `python emulator/user_posting_emulation_streaming.py --help`."""

from emulator.command import Mode, emulation

app = emulation(Mode.stream)

if __name__ == "__main__":
    app()
