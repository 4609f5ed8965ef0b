//! Runs the recorded cases of a destination: records in, requests expected, answers given, outcome of each record.
