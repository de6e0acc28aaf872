"""Schedules of the learning rate; one schedule, one file, a function of the epoch and of the losses so far.

A schedule keeps no state: it is asked with the epoch that is about to be trained, so a resumed training goes on exactly.
"""
