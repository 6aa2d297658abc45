-- Two kinds of records have other names: see evenfall.log.v1.EventRecord.
UPDATE put_aside SET change = 'attemptEnded' WHERE change = 'attemptConcluded';
UPDATE put_aside SET change = 'deliveryAttempted' WHERE change = 'deliveryConcluded';
