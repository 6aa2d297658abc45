// The audit log where the gateway, the registry and the event-store are processes of their own, and are killed.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { deployFunction } from '../support/stack.ts';

type AuditJson = { readonly id: string; readonly operation: string; readonly namespace: string; readonly subject: string; readonly outcome: string };
