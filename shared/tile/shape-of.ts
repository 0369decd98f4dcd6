/** Shape of each tensor of a segment while one step of it runs. */
export type ShapeOf = (tensor: number) => readonly number[];
