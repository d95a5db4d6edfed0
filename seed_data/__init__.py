"""The source database: what the users of the service posted, as MySQL tables that the emulator reads.

In: a number of events and a seed, or three CSV files. Out: `pinterest_data`, `geolocation_data` and `user_data`, one
row each per event, replaced as a whole or not at all. The generated rows have the proportions, the skew and the dirt of
the course's data, so the cleaning and the questions downstream meet what they meet there.

`generate` makes rows, `csv_files` reads them, `load` puts them into the database, `guard` keeps data sets from mixing.
"""
