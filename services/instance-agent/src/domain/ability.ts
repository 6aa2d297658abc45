/** Something a host can or cannot do, in words for its operator. */
export type Ability = { readonly name: string; readonly available: boolean; readonly detail: string };
