// What the chat page holds: the conversation, and what is being answered.

export const chat = {
  /** @type {{role: string, content: string}[]} What the next answer will be given. */
  turns: [],
  asking: null, // the AbortController of what is being answered
  models: [],
};
