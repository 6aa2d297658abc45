import type { FastifyReply } from 'fastify';

/** JSON text of a value. Values that hold JSON of users are written as text: parsing it would change numbers that JavaScript cannot hold. */
export type JsonText<T> = string & { readonly [ofValue]?: T };
declare const ofValue: unique symbol;

/** Answers with JSON text, which is sent as it is. */
export function sendJsonText<T>(reply: FastifyReply, text: JsonText<T>): T {
  void reply.header('content-type', 'application/json; charset=utf-8');
  return text as unknown as T; // Fastify sends text as it is; its type has to be that of the value which the route describes
}
