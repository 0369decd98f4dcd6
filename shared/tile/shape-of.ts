/** This file is one type, apart from the files that make such functions, so that those needn't import each other. */

/** Gives the shape of each tensor of a segment while one step of it runs. */
export type ShapeOf = (tensor: number) => readonly number[];
