/** The law of model names. A name is a folder of the model store, a level of topics and a value in configurations. */

export const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

/** The law in words, for errors. */
export const MODEL_NAME_RULE = '1 to 64 letters, digits, ".", "_" or "-", starting with a letter or digit';
