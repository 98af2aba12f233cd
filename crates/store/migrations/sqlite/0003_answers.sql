-- What answers a finding beside a block: host actions, exceptions, outputs.
-- Each subject has a section of its own.

